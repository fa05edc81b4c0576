package discovery

import (
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// EndpointSlice is all there is about EndpointSlice objects on the server.
var EndpointSlice = api.Kind[discoveryv1.EndpointSlice]{
	Version: discoveryv1.SchemeGroupVersion, Resource: "endpointslices", Namespaced: true,
	Versions:       sliceVersions,
	List:           &discoveryv1.EndpointSliceList{},
	Default:        defaultEndpointSlice,
	Validate:       validateEndpointSlice,
	ValidateUpdate: validateEndpointSliceUpdate,
	Warn:           warnEndpointSlice,
	Spec: func(o *discoveryv1.EndpointSlice) any {
		return struct {
			Labels    map[string]string
			Endpoints []discoveryv1.Endpoint
			Ports     []discoveryv1.EndpointPort
		}{o.Labels, o.Endpoints, o.Ports}
	},
	Indexes: map[string]func(*discoveryv1.EndpointSlice) []string{
		IndexService: func(o *discoveryv1.EndpointSlice) []string {
			if name := o.Labels[discoveryv1.LabelServiceName]; name != "" {
				return []string{o.Namespace + "/" + name}
			}
			return nil
		},
	},
	Columns: api.Columns[discoveryv1.EndpointSlice]{
		api.NameColumn[discoveryv1.EndpointSlice](),
		api.Text("AddressType", "addressType specifies the type of address carried by this EndpointSlice.", func(o *discoveryv1.EndpointSlice) any { return string(o.AddressType) }),
		api.Text("Ports", "ports specifies the list of network ports exposed by each endpoint in this slice.", func(o *discoveryv1.EndpointSlice) any { return portsText(o) }),
		api.Text("Endpoints", "endpoints is a list of unique endpoints in this slice.", func(o *discoveryv1.EndpointSlice) any { return addressesText(o) }),
		api.AgeColumn[discoveryv1.EndpointSlice](),
	},
}
