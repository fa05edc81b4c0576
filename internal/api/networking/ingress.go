package networking

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Ingress is all there is about Ingress objects on the server.
var Ingress = api.Kind[networkingv1.Ingress]{
	Version: networkingv1.SchemeGroupVersion, Resource: "ingresses", Short: []string{"ing"}, Namespaced: true,
	Storage: "ingress",
	List:    &networkingv1.IngressList{},
	Status:  api.StatusOf(func(o *networkingv1.Ingress) *networkingv1.IngressStatus { return &o.Status }),
	Spec:    func(o *networkingv1.Ingress) any { return &o.Spec },
}
