package networking

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// IngressClass is all there is about IngressClass objects on the server.
var IngressClass = api.Kind[networkingv1.IngressClass]{
	Version: networkingv1.SchemeGroupVersion, Resource: "ingressclasses",
	Versions:       ingressClassVersions,
	List:           &networkingv1.IngressClassList{},
	Spec:           func(o *networkingv1.IngressClass) any { return &o.Spec },
	Default:        defaultIngressClass,
	Validate:       validateIngressClass,
	ValidateUpdate: validateIngressClassUpdate,
	Columns: api.Columns[networkingv1.IngressClass]{
		{ColumnHead: api.NameColumn[networkingv1.IngressClass]().ColumnHead, Cell: func(o *networkingv1.IngressClass) any { return classText(o) }},
		api.Text("Controller", "Controller that is responsible for handling this class", func(o *networkingv1.IngressClass) any { return o.Spec.Controller }),
		api.Text("Parameters", "A reference to a resource with additional parameters", func(o *networkingv1.IngressClass) any { return parametersText(o) }),
		api.AgeColumn[networkingv1.IngressClass](),
	},
}
