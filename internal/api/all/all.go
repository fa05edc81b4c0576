// Package all lists every row of the resource table, in order.
package all

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/admissionregistration"
	"github.com/skiff-k8s/skiff/internal/api/apiextensions"
	"github.com/skiff-k8s/skiff/internal/api/apiregistration"
	"github.com/skiff-k8s/skiff/internal/api/apps"
	"github.com/skiff-k8s/skiff/internal/api/authentication"
	"github.com/skiff-k8s/skiff/internal/api/authorization"
	"github.com/skiff-k8s/skiff/internal/api/autoscaling"
	"github.com/skiff-k8s/skiff/internal/api/batch"
	"github.com/skiff-k8s/skiff/internal/api/certificates"
	"github.com/skiff-k8s/skiff/internal/api/coordination"
	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/discovery"
	"github.com/skiff-k8s/skiff/internal/api/flowcontrol"
	"github.com/skiff-k8s/skiff/internal/api/networking"
	"github.com/skiff-k8s/skiff/internal/api/node"
	"github.com/skiff-k8s/skiff/internal/api/policy"
	"github.com/skiff-k8s/skiff/internal/api/rbac"
	"github.com/skiff-k8s/skiff/internal/api/resource"
	"github.com/skiff-k8s/skiff/internal/api/scheduling"
	"github.com/skiff-k8s/skiff/internal/api/storage"
	"github.com/skiff-k8s/skiff/internal/api/storagemigration"
)

// Rows are the built-in kinds, group by group in the order in which discovery lists the groups. Other versions of
// stored kinds (autoscaling/v1, events.k8s.io/v1) are not rows: they are conversions of one.
var Rows = slices.Concat(
	core.Rows(),
	apiregistration.Rows(),
	apps.Rows(),
	authentication.Rows(),
	authorization.Rows(),
	autoscaling.Rows(),
	batch.Rows(),
	certificates.Rows(),
	networking.Rows(),
	policy.Rows(),
	rbac.Rows(),
	storage.Rows(),
	admissionregistration.Rows(),
	apiextensions.Rows(),
	scheduling.Rows(),
	coordination.Rows(),
	node.Rows(),
	discovery.Rows(),
	flowcontrol.Rows(),
	resource.Rows(),
	storagemigration.Rows(),
)

var (
	byType = map[reflect.Type]*api.Resource{}
	byGVR  = map[schema.GroupVersionResource]*api.Resource{}
	byGVK  = map[schema.GroupVersionKind]*api.Resource{}
	other  = map[schema.GroupVersionResource]*api.Version{}
)

var _ = func() bool {
	for _, r := range Rows {
		byGVR[r.GVR] = r
		byGVK[r.GVK] = r
		byType[r.Type] = r
		for _, v := range r.Versions {
			other[v.GVR] = v
			byGVK[v.GVK] = r
		}
	}
	return true
}()

// For finds the row of a Go type: all.For[*corev1.Pod]().
func For[T api.Object]() *api.Resource {
	r := byType[reflect.TypeFor[T]().Elem()]
	if r == nil {
		panic("api: no row for " + reflect.TypeFor[T]().String())
	}
	return r
}

// Of finds the row of an object; nil when it is of no built-in kind.
func Of(o api.Object) *api.Resource { return byType[reflect.TypeOf(o).Elem()] }

// VersionByGVR finds a version that is not the stored one; nil when there is none.
func VersionByGVR(r schema.GroupVersionResource) *api.Version { return other[r] }

// ByGVR and ByGVK find a row; nil when there is none. A kind is found under all its versions.
func ByGVR(r schema.GroupVersionResource) *api.Resource { return byGVR[r] }
func ByGVK(k schema.GroupVersionKind) *api.Resource     { return byGVK[k] }
