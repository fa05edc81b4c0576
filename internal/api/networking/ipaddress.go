package networking

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// IPAddress is all there is about IPAddress objects on the server.
var IPAddress = api.Kind[networkingv1.IPAddress]{
	Version: networkingv1.SchemeGroupVersion, Resource: "ipaddresses", Short: []string{"ip"},
	List:           &networkingv1.IPAddressList{},
	Versions:       ipAddressVersions,
	Name:           nameIsIP,
	Validate:       validateIPAddress,
	ValidateUpdate: validateIPAddressUpdate,
	Columns: api.Columns[networkingv1.IPAddress]{
		api.NameColumn[networkingv1.IPAddress](),
		api.Text("ParentRef", "The resource that the address is attached to.", func(o *networkingv1.IPAddress) any { return parentText(o) }),
	},
}
