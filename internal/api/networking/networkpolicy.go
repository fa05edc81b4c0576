package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// NetworkPolicy is all there is about NetworkPolicy objects on the server.
var NetworkPolicy = api.Kind[networkingv1.NetworkPolicy]{
	Version: networkingv1.SchemeGroupVersion, Resource: "networkpolicies", Short: []string{"netpol"}, Namespaced: true,
	Versions:       networkPolicyVersions,
	List:           &networkingv1.NetworkPolicyList{},
	Spec:           func(o *networkingv1.NetworkPolicy) any { return &o.Spec },
	Default:        defaultNetworkPolicy,
	Validate:       validateNetworkPolicy,
	ValidateUpdate: func(next, _ *networkingv1.NetworkPolicy) field.ErrorList { return validateNetworkPolicy(next) },
	Columns: api.Columns[networkingv1.NetworkPolicy]{
		api.NameColumn[networkingv1.NetworkPolicy](),
		api.Text("Pod-Selector", "podSelector selects the pods to which this NetworkPolicy object applies.", func(o *networkingv1.NetworkPolicy) any { return metav1.FormatLabelSelector(&o.Spec.PodSelector) }),
		api.AgeColumn[networkingv1.NetworkPolicy](),
	},
}
