package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Ingress is all there is about Ingress objects on the server.
var Ingress = api.Kind[networkingv1.Ingress]{
	Version: networkingv1.SchemeGroupVersion, Resource: "ingresses", Short: []string{"ing"}, Namespaced: true,
	Versions:       ingressVersions,
	Storage:        "ingress",
	List:           &networkingv1.IngressList{},
	Status:         api.StatusOf(func(o *networkingv1.Ingress) *networkingv1.IngressStatus { return &o.Status }).WithValidate(validateIngressStatus).WithWarn(warnIngressStatus),
	Spec:           func(o *networkingv1.Ingress) any { return &o.Spec },
	Validate:       validateIngress,
	Warn:           warnIngress,
	ValidateUpdate: func(next, _ *networkingv1.Ingress) field.ErrorList { return validateIngressSpec(&next.Spec) },
	Columns: api.Columns[networkingv1.Ingress]{
		api.NameColumn[networkingv1.Ingress](),
		api.Text("Class", "The name of the IngressClass resource that should be used for additional configuration", func(o *networkingv1.Ingress) any { return ingressClass(o) }),
		api.Text("Hosts", "Hosts that incoming requests are matched against before the ingress rule", func(o *networkingv1.Ingress) any { return ingressHosts(o) }),
		api.Text("Address", "Address is a list containing ingress points for the load-balancer", func(o *networkingv1.Ingress) any { return ingressAddress(o) }),
		api.Text("Ports", "Ports of TLS configurations that open", func(o *networkingv1.Ingress) any { return ingressPorts(o) }),
		api.AgeColumn[networkingv1.Ingress](),
	},
}
