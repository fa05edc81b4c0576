package discovery

import (
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// EndpointSlice is all there is about EndpointSlice objects on the server.
var EndpointSlice = api.Kind[discoveryv1.EndpointSlice]{
	Version: discoveryv1.SchemeGroupVersion, Resource: "endpointslices", Namespaced: true,
	List: &discoveryv1.EndpointSliceList{},
	Spec: func(o *discoveryv1.EndpointSlice) any { return &o.Endpoints },
}
