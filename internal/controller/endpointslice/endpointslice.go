// Package endpointslice writes EndpointSlices: for Services with a selector from the
// pods that it selects, and for Services without one from the Endpoints that
// somebody wrote by hand (mirror.go).
//
// Both decide which endpoints there should be, in groups of equal ports, and
// pack.go fits them into slices with as few writes as it can. Read this file,
// then pack.go.
package endpointslice

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

const (
	managedBy = "endpointslice-controller.k8s.io"
	perSlice  = 100 // endpoints
)

// Spec is the endpointslice-controller.
func Spec() controller.Spec {
	return controller.Spec{
		Name: "endpoint-slice-controller", For: all.For[*corev1.Service](), Workers: 5,
		Wakes: []controller.Wake{
			controller.PodServices(),
			{On: all.For[*discoveryv1.EndpointSlice](), Keys: managed(managedBy)},
			{On: all.For[*corev1.Node](), Keys: moved},
		},
		Step: Step,
	}
}

// managed wakes the Service of a slice that one of the controllers here manages.
func managed(by string) func(controller.View, api.Object, api.Object) []controller.Key {
	return func(_ controller.View, o, old api.Object) []controller.Key {
		for _, x := range []api.Object{o, old} {
			if x != nil && x.GetLabels()[discoveryv1.LabelManagedBy] == by {
				return []controller.Key{{Namespace: x.GetNamespace(), Name: x.GetLabels()[discoveryv1.LabelServiceName]}}
			}
		}
		return nil
	}
}

// moved wakes all Services when a node comes or changes its zone. That is rare.
func moved(v controller.View, o, old api.Object) []controller.Key {
	if old != nil && o.GetLabels()[corev1.LabelTopologyZone] == old.GetLabels()[corev1.LabelTopologyZone] {
		return nil
	}
	services, err := client.List[*corev1.Service](v.Context, v, "", nil)
	if err != nil {
		return nil
	}
	var keys []controller.Key
	for _, s := range services {
		if len(s.Spec.Selector) > 0 {
			keys = append(keys, controller.KeyOf(s))
		}
	}
	return keys
}

// Step decides what to do about the slices of one Service. Those of a Service
// that is gone are the garbage collector's.
func Step(v controller.View, k controller.Key) (controller.Plan, error) {
	s, err := client.Get[*corev1.Service](v.Context, v, k.Namespace, k.Name)
	if errors.IsNotFound(err) {
		return controller.Plan{}, nil
	}
	if err != nil {
		return controller.Plan{}, err
	}
	if s.Spec.Selector == nil && s.Spec.Type != corev1.ServiceTypeExternalName {
		return controller.Plan{}, nil // somebody else writes them
	}
	existing, err := existing(v, k, managedBy)
	if err != nil {
		return controller.Plan{}, err
	}
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return controller.Plan{Do: changes{remove: existing}.actions()}, nil
	}
	pods, err := client.List[*corev1.Pod](v.Context, v, s.Namespace, labels.SelectorFromSet(s.Spec.Selector))
	if err != nil {
		return controller.Plan{}, err
	}
	groups, err := groupsOf(v, s, pods)
	if err != nil {
		return controller.Plan{}, err
	}
	c := pack(existing, groups, perSlice, func(t discoveryv1.AddressType) *discoveryv1.EndpointSlice { return blank(s, t) })
	c.stamp(controller.TriggerTime(s, pods, c.stamped(existing)))
	return controller.Plan{Do: c.actions()}, nil
}

func existing(v controller.View, k controller.Key, by string) ([]*discoveryv1.EndpointSlice, error) {
	all, err := client.List[*discoveryv1.EndpointSlice](v.Context, v, k.Namespace,
		labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: k.Name, discoveryv1.LabelManagedBy: by}))
	return slices.DeleteFunc(all, func(e *discoveryv1.EndpointSlice) bool { return e.DeletionTimestamp != nil }), err
}

// blank is a slice of the Service without endpoints.
func blank(s *corev1.Service, t discoveryv1.AddressType) *discoveryv1.EndpointSlice {
	l := maps.Clone(s.Labels)
	if l == nil {
		l = map[string]string{}
	}
	delete(l, corev1.IsHeadlessService)
	if s.Spec.ClusterIP == corev1.ClusterIPNone {
		l[corev1.IsHeadlessService] = ""
	}
	l[discoveryv1.LabelServiceName], l[discoveryv1.LabelManagedBy] = s.Name, managedBy
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.Namespace, GenerateName: s.Name + "-", Labels: l,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(s, all.For[*corev1.Service]().GVK)},
		},
		AddressType: t,
	}
}

// groupsOf are the endpoints of the pods by family and ports. A family without
// any has one group without ports: its slice tells that somebody looked and found none.
func groupsOf(v controller.View, s *corev1.Service, pods []*corev1.Pod) ([]group, error) {
	var groups []group
	for _, family := range controller.ServiceFamilies(s) {
		t := discoveryv1.AddressType(family)
		byPorts := map[string]*group{}
		var order []string
		for _, p := range pods {
			addresses := controller.PodAddresses(p, family)
			if controller.PodTerminal(p) || len(addresses) == 0 {
				continue
			}
			zone, known, err := zoneOf(v, p.Spec.NodeName)
			if err != nil {
				return nil, err
			}
			// A pod on a node that is gone is as good as gone; the node's coming wakes the Service.
			if !known && !s.Spec.PublishNotReadyAddresses {
				continue
			}
			ports := portsOf(s, p)
			k := portKey(ports)
			if byPorts[k] == nil {
				byPorts[k] = &group{kind: t, ports: ports}
				order = append(order, k)
			}
			byPorts[k].endpoints = append(byPorts[k].endpoints, endpoint(s, p, addresses, zone))
		}
		if len(order) == 0 {
			groups = append(groups, group{kind: t})
		}
		for _, k := range order {
			groups = append(groups, *byPorts[k])
		}
	}
	return groups, nil
}

func zoneOf(v controller.View, node string) (zone string, known bool, err error) {
	if node == "" {
		return "", true, nil
	}
	n, err := client.Get[*corev1.Node](v.Context, v, "", node)
	if errors.IsNotFound(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	return n.Labels[corev1.LabelTopologyZone], true, nil
}

func endpoint(s *corev1.Service, p *corev1.Pod, addresses []string, zone string) discoveryv1.Endpoint {
	serving, terminating := controller.PodReady(p), p.DeletionTimestamp != nil
	ready := s.Spec.PublishNotReadyAddresses || serving && !terminating
	e := discoveryv1.Endpoint{
		Addresses: addresses, TargetRef: controller.EndpointRef(p),
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
	}
	if h := controller.EndpointHostname(p, s); h != "" {
		e.Hostname = &h
	}
	if n := p.Spec.NodeName; n != "" {
		e.NodeName = &n
	}
	if zone != "" {
		e.Zone = &zone
	}
	e.Hints = hints(s, &e)
	return e
}

// hints says for whom an endpoint is, when the Service prefers near ones.
func hints(s *corev1.Service, e *discoveryv1.Endpoint) *discoveryv1.EndpointHints {
	if s.Spec.TrafficDistribution == nil || !*e.Conditions.Ready {
		return nil
	}
	var h discoveryv1.EndpointHints
	switch *s.Spec.TrafficDistribution {
	case corev1.ServiceTrafficDistributionPreferSameNode:
		if e.NodeName != nil {
			h.ForNodes = []discoveryv1.ForNode{{Name: *e.NodeName}}
		}
		fallthrough
	case corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone:
		if e.Zone != nil {
			h.ForZones = []discoveryv1.ForZone{{Name: *e.Zone}}
		}
	}
	if h.ForNodes == nil && h.ForZones == nil {
		return nil
	}
	return &h
}

// portsOf are the Service's ports on a pod; one that the pod does not have is left out.
func portsOf(s *corev1.Service, p *corev1.Pod) []discoveryv1.EndpointPort {
	var out []discoveryv1.EndpointPort
	for i := range s.Spec.Ports {
		sp := s.Spec.Ports[i]
		n, err := controller.TargetPort(p, &sp)
		if err != nil {
			continue
		}
		out = append(out, discoveryv1.EndpointPort{Name: &sp.Name, Port: &n, Protocol: &sp.Protocol, AppProtocol: sp.AppProtocol})
	}
	return out
}
