package networking

import (
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ServiceCIDR is all there is about ServiceCIDR objects on the server.
var ServiceCIDR = api.Kind[networkingv1.ServiceCIDR]{
	Version: networkingv1.SchemeGroupVersion, Resource: "servicecidrs",
	List:           &networkingv1.ServiceCIDRList{},
	Versions:       serviceCIDRVersions,
	Status:         api.StatusOf(func(o *networkingv1.ServiceCIDR) *networkingv1.ServiceCIDRStatus { return &o.Status }).Only(),
	Validate:       validateServiceCIDR,
	ValidateUpdate: validateServiceCIDRUpdate,
	Columns: api.Columns[networkingv1.ServiceCIDR]{
		api.NameColumn[networkingv1.ServiceCIDR](),
		api.Text("CIDRs", "The IP blocks in CIDR notation from which to assign service cluster IPs.", func(o *networkingv1.ServiceCIDR) any { return strings.Join(o.Spec.CIDRs, ",") }),
		api.AgeColumn[networkingv1.ServiceCIDR](),
	},
}
