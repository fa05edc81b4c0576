// Package all lists every row of the resource table, in order.
package all

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/core"
)

// Rows are the built-in kinds, group by group.
var Rows = slices.Concat(
	core.Rows(),
)

var (
	byType = map[reflect.Type]*api.Resource{}
	byGVR  = map[schema.GroupVersionResource]*api.Resource{}
	byGVK  = map[schema.GroupVersionKind]*api.Resource{}
)

var _ = func() bool {
	for _, r := range Rows {
		byGVR[r.GVR] = r
		byGVK[r.GVK] = r
		byType[r.Type] = r
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

// ByGVR and ByGVK find a row; nil when there is none.
func ByGVR(r schema.GroupVersionResource) *api.Resource { return byGVR[r] }
func ByGVK(k schema.GroupVersionKind) *api.Resource     { return byGVK[k] }
