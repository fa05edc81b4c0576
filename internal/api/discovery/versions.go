package discovery

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	discoveryv1beta1 "k8s.io/api/discovery/v1beta1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// discovery.k8s.io/v1beta1 says in one map, the topology, where an endpoint is.
var sliceVersions = api.Versions{
	api.As[discoveryv1.EndpointSlice, discoveryv1beta1.EndpointSlice]{Version: discoveryv1beta1.SchemeGroupVersion, List: &discoveryv1beta1.EndpointSliceList{},
		Read: func(from *discoveryv1beta1.EndpointSlice, to *discoveryv1.EndpointSlice) error {
			if err := api.Recode(from, to); err != nil {
				return err
			}
			for i := range from.Endpoints {
				topology := maps.Clone(from.Endpoints[i].Topology)
				e := &to.Endpoints[i]
				if zone, ok := topology[corev1.LabelTopologyZone]; ok {
					e.Zone = &zone
					delete(topology, corev1.LabelTopologyZone)
				}
				if host, ok := topology[corev1.LabelHostname]; ok && e.NodeName == nil {
					e.NodeName = &host
				}
				if e.NodeName != nil {
					delete(topology, corev1.LabelHostname)
				}
				if len(topology) > 0 {
					e.DeprecatedTopology = topology
				}
			}
			return nil
		},
		Show: func(from *discoveryv1.EndpointSlice, to *discoveryv1beta1.EndpointSlice) error {
			if err := api.Recode(from, to); err != nil {
				return err
			}
			for i := range from.Endpoints {
				e := &from.Endpoints[i]
				topology := maps.Clone(e.DeprecatedTopology)
				put := func(k string, v *string) {
					if v == nil {
						return
					}
					if topology == nil {
						topology = map[string]string{}
					}
					topology[k] = *v
				}
				put(corev1.LabelTopologyZone, e.Zone)
				put(corev1.LabelHostname, e.NodeName)
				to.Endpoints[i].Topology = topology
			}
			return nil
		}},
}
