package networking

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// NetworkPolicy is all there is about NetworkPolicy objects on the server.
var NetworkPolicy = api.Kind[networkingv1.NetworkPolicy]{
	Version: networkingv1.SchemeGroupVersion, Resource: "networkpolicies", Short: []string{"netpol"}, Namespaced: true,
	List: &networkingv1.NetworkPolicyList{},
	Spec: func(o *networkingv1.NetworkPolicy) any { return &o.Spec },
}
