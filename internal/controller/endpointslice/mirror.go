package endpointslice

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

const (
	mirroredBy = "endpointslicemirroring-controller.k8s.io"
	perSubset  = 1000 // addresses that are mirrored
	leader     = "control-plane.alpha.kubernetes.io/leader"
)

// Mirror is the endpointslicemirroring-controller.
func Mirror() controller.Spec {
	return controller.Spec{
		Name: "endpoint-slice-mirroring-controller", For: all.For[*corev1.Endpoints](),
		Wakes: []controller.Wake{
			{On: all.For[*corev1.Service](), Keys: func(_ controller.View, o, _ api.Object) []controller.Key {
				return []controller.Key{controller.KeyOf(o)}
			}},
			{On: all.For[*discoveryv1.EndpointSlice](), Keys: managed(mirroredBy)},
		},
		Step: mirror,
	}
}

func mirror(v controller.View, k controller.Key) (controller.Plan, error) {
	existing, err := existing(v, k, mirroredBy)
	if err != nil {
		return controller.Plan{}, err
	}
	ep, err := client.Get[*corev1.Endpoints](v.Context, v, k.Namespace, k.Name)
	if err != nil && !errors.IsNotFound(err) {
		return controller.Plan{}, err
	}
	s, serr := client.Get[*corev1.Service](v.Context, v, k.Namespace, k.Name)
	if serr != nil && !errors.IsNotFound(serr) {
		return controller.Plan{}, serr
	}
	if err != nil || serr != nil || s.Spec.Selector != nil || !mirrored(ep) {
		return controller.Plan{Do: changes{remove: existing}.actions()}, nil
	}
	groups, told := groupsOfEndpoints(ep)
	c := pack(existing, groups, perSubset, func(t discoveryv1.AddressType) *discoveryv1.EndpointSlice { return blankMirror(ep, t) })
	for _, e := range append(c.create, c.update...) {
		for a, text := range ep.Annotations {
			if a != corev1.LastAppliedConfigAnnotation {
				metav1.SetMetaDataAnnotation(&e.ObjectMeta, a, text)
			}
		}
	}
	do := c.actions()
	if len(do) > 0 {
		do = append(do, told...)
	}
	return controller.Plan{Do: do}, nil
}

func mirrored(ep *corev1.Endpoints) bool {
	_, lock := ep.Annotations[leader]
	return ep.DeletionTimestamp == nil && ep.Labels[discoveryv1.LabelSkipMirror] != "true" && !lock
}

func blankMirror(ep *corev1.Endpoints, t discoveryv1.AddressType) *discoveryv1.EndpointSlice {
	l := maps.Clone(ep.Labels)
	if l == nil {
		l = map[string]string{}
	}
	l[discoveryv1.LabelServiceName], l[discoveryv1.LabelManagedBy] = ep.Name, mirroredBy
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ep.Namespace, GenerateName: ep.Name + "-", Labels: l,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(ep, all.For[*corev1.Endpoints]().GVK)},
		},
		AddressType: t,
	}
}

// groupsOfEndpoints are the addresses by family and ports, and events about
// those that cannot be mirrored.
func groupsOfEndpoints(ep *corev1.Endpoints) ([]group, []controller.Action) {
	var groups []group
	var invalid, skipped int
	at := map[string]int{}
	add := func(ports []discoveryv1.EndpointPort, a *corev1.EndpointAddress, ready bool) bool {
		family := controller.FamilyOf(a.IP)
		if family == "" {
			invalid++
			return false
		}
		key := string(family) + portKey(ports)
		i, ok := at[key]
		if !ok {
			i = len(groups)
			at[key] = i
			groups = append(groups, group{kind: discoveryv1.AddressType(family), ports: ports})
		}
		e := discoveryv1.Endpoint{Addresses: []string{a.IP}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}, NodeName: a.NodeName, TargetRef: a.TargetRef}
		if a.Hostname != "" {
			e.Hostname = &a.Hostname
		}
		groups[i].endpoints = append(groups[i].endpoints, e)
		return true
	}
	for i := range ep.Subsets {
		sub := &ep.Subsets[i]
		ports := make([]discoveryv1.EndpointPort, len(sub.Ports))
		for j := range sub.Ports {
			p := &sub.Ports[j]
			ports[j] = discoveryv1.EndpointPort{Name: &p.Name, Port: &p.Port, Protocol: &p.Protocol, AppProtocol: p.AppProtocol}
		}
		n := addAll(sub.Addresses, perSubset, &skipped, func(a *corev1.EndpointAddress) bool { return add(ports, a, true) })
		addAll(sub.NotReadyAddresses, perSubset-n, &skipped, func(a *corev1.EndpointAddress) bool { return add(ports, a, false) })
	}
	var do []controller.Action
	warn := func(reason, message string) {
		do = append(do, controller.Action{Event: &controller.Event{About: ep, Type: corev1.EventTypeWarning, Reason: reason, Message: message}})
	}
	if invalid > 0 {
		warn("InvalidIPAddress", fmt.Sprintf("Skipped %d invalid IP addresses when mirroring to EndpointSlices", invalid))
	}
	if skipped > 0 {
		warn("TooManyAddressesToMirror", fmt.Sprintf("A max of %d addresses can be mirrored to EndpointSlices per Endpoints subset. %d addresses were skipped", perSubset, skipped))
	}
	return groups, do
}

// addAll adds addresses while there is room, and counts the rest as skipped.
func addAll(addresses []corev1.EndpointAddress, room int, skipped *int, add func(*corev1.EndpointAddress) bool) (n int) {
	for i := range addresses {
		switch {
		case n >= room:
			*skipped++
		case add(&addresses[i]):
			n++
		}
	}
	return n
}
