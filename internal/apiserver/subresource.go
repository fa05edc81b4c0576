package apiserver

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// partial are the subresources that are written as the whole object but own only
// a part of it: each takes that part from next and keeps the rest of old.
var partial = map[string]func(merged, next api.Object){
	"namespaces/finalize": func(merged, next api.Object) {
		describe(merged, next)
		merged.(*corev1.Namespace).Spec.Finalizers = next.(*corev1.Namespace).Spec.Finalizers
	},
	"certificatesigningrequests/approval": func(merged, next api.Object) {
		describe(merged, next)
		merged.(*certificatesv1.CertificateSigningRequest).Status.Conditions = next.(*certificatesv1.CertificateSigningRequest).Status.Conditions
	},
	"pods/ephemeralcontainers": func(merged, next api.Object) {
		merged.(*corev1.Pod).Spec.EphemeralContainers = next.(*corev1.Pod).Spec.EphemeralContainers
	},
	"pods/resize": func(merged, next api.Object) {
		m, n := merged.(*corev1.Pod), next.(*corev1.Pod)
		resize := func(to, from []corev1.Container) {
			for i := range min(len(to), len(from)) {
				to[i].Resources, to[i].ResizePolicy = from[i].Resources, from[i].ResizePolicy
			}
		}
		resize(m.Spec.Containers, n.Spec.Containers)
		resize(m.Spec.InitContainers, n.Spec.InitContainers)
	},
}

// describe takes what may be said of an object besides what it is: its labels and so on.
func describe(merged, next api.Object) {
	merged.SetLabels(next.GetLabels())
	merged.SetAnnotations(next.GetAnnotations())
	merged.SetFinalizers(next.GetFinalizers())
}

// writable tells whether PUT and PATCH work on the subresource as on the object.
func writable(r *api.Resource, sub string) bool {
	return sub == "" || sub == "status" && r.Status != nil || partial[r.GVR.Resource+"/"+sub] != nil
}

// subresourceOf is what the row says of a further subresource; nil when it says nothing.
func subresourceOf(r *api.Resource, name string) *api.Subresource {
	for i := range r.Subresources {
		if r.Subresources[i].Name == name {
			return &r.Subresources[i]
		}
	}
	return nil
}

// hasSubresource tells whether the kind has a subresource of that name.
func hasSubresource(r *api.Resource, name string) bool {
	return name == "status" && r.Status != nil || name == "scale" && r.Scale != nil || subresourceOf(r, name) != nil
}
