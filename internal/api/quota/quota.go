// Package quota holds the rules of ResourceQuota: what an object counts for
// (usage.go, pod.go), which quotas look at it (scope.go), whether one admits it
// (charge.go), and what is used in a namespace (recount.go). Everything is pure:
// objects, quotas and the time go in, lists of quantities come out.
//
// The API server charges quotas in the transaction that writes the object; the
// resourcequota controller counts anew when objects go. Both see one arithmetic.
//
// Read this file, then charge.go.
package quota

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
)

// IndexNamespace is the index of ResourceQuotas by namespace.
const IndexNamespace = "namespace"

// Counted tells whether objects of a kind count at all.
func Counted(r *api.Resource) bool {
	return r.Namespaced && !r.Virtual && !(r.GVR.Resource == "events" && (r.GVR.Group == "" || r.GVR.Group == "events.k8s.io"))
}

// countName is the name that counts objects of a kind: "count/deployments.apps".
func countName(gr schema.GroupResource) corev1.ResourceName {
	return corev1.ResourceName("count/" + gr.String())
}

// aliases are kinds that count under their plain name too.
var aliases = []string{"configmaps", "secrets", "replicationcontrollers", "resourcequotas"}

// Tracks tells whether objects of a kind count for a resource name.
func Tracks(r *api.Resource, name corev1.ResourceName) bool {
	gr := r.GroupResource()
	if strings.HasPrefix(string(name), "count/") {
		return Counted(r) && string(name[len("count/"):]) == gr.String()
	}
	switch gr {
	case podResource:
		return podTracks(name)
	case serviceResource:
		return name == corev1.ResourceServices || name == corev1.ResourceServicesNodePorts || name == corev1.ResourceServicesLoadBalancers
	case claimResource:
		return name == corev1.ResourcePersistentVolumeClaims || name == corev1.ResourceRequestsStorage ||
			strings.HasSuffix(string(name), storageClassSuffix+string(corev1.ResourceRequestsStorage)) || strings.HasSuffix(string(name), storageClassSuffix+string(corev1.ResourcePersistentVolumeClaims))
	case deviceClaimResource:
		return strings.HasSuffix(string(name), deviceClassSuffix)
	}
	return gr.Group == "" && slices.Contains(aliases, gr.Resource) && string(name) == gr.Resource
}

// Looks tells whether a quota counts anything of a kind.
func Looks(q *corev1.ResourceQuota, r *api.Resource) bool {
	for name := range q.Spec.Hard {
		if Tracks(r, name) {
			return true
		}
	}
	return false
}

var (
	podResource         = schema.GroupResource{Resource: "pods"}
	serviceResource     = schema.GroupResource{Resource: "services"}
	claimResource       = schema.GroupResource{Resource: "persistentvolumeclaims"}
	deviceClaimResource = schema.GroupResource{Group: "resource.k8s.io", Resource: "resourceclaims"}
)

// add returns a + b.
func add(a, b corev1.ResourceList) corev1.ResourceList {
	out := corev1.ResourceList{}
	for k, v := range a {
		out[k] = v.DeepCopy()
	}
	for k, v := range b {
		q := out[k]
		q.Add(v)
		out[k] = q
	}
	return out
}

// growth returns what of a is more than in b, without what is not.
func growth(a, b corev1.ResourceList) corev1.ResourceList {
	out := corev1.ResourceList{}
	for k, v := range a {
		q := v.DeepCopy()
		q.Sub(b[k])
		if q.Sign() > 0 {
			out[k] = q
		}
	}
	return out
}

// mask keeps what keep holds of.
func mask(l corev1.ResourceList, keep func(corev1.ResourceName) bool) corev1.ResourceList {
	out := corev1.ResourceList{}
	for k, v := range l {
		if keep(k) {
			out[k] = v
		}
	}
	return out
}

func one() resource.Quantity { return *resource.NewQuantity(1, resource.DecimalSI) }

func count(n int64) resource.Quantity { return *resource.NewQuantity(n, resource.DecimalSI) }

// text prints "cpu=1,pods=2".
func text(l corev1.ResourceList) string {
	parts := make([]string, 0, len(l))
	for _, k := range slices.Sorted(maps.Keys(l)) {
		q := l[k]
		parts = append(parts, string(k)+"="+q.String())
	}
	return strings.Join(parts, ",")
}
