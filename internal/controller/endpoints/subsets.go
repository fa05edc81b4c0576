package endpoints

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/controller"
)

// capacity is how many addresses an Endpoints object holds.
const capacity = 1000

// port is a port that some of the pods have; ports with the same pods share a subset.
type port struct {
	corev1.EndpointPort
	none bool // stands for the missing ports of a headless Service
	app  string
}

// member is a pod behind a port.
type member struct {
	address corev1.EndpointAddress
	ready   bool
}

func subsets(s *corev1.Service, pods []*corev1.Pod) []corev1.EndpointSubset {
	members := map[port][]member{}
	for _, p := range pods {
		m, ok := memberOf(s, p)
		if !ok {
			continue
		}
		if len(s.Spec.Ports) == 0 {
			members[port{none: true}] = append(members[port{none: true}], m)
		}
		for i := range s.Spec.Ports {
			sp := &s.Spec.Ports[i]
			n, err := controller.TargetPort(p, sp)
			if err != nil {
				continue // the pod does not have it
			}
			k := port{EndpointPort: corev1.EndpointPort{Name: sp.Name, Port: n, Protocol: sp.Protocol}}
			if sp.AppProtocol != nil {
				k.app = *sp.AppProtocol
			}
			members[k] = append(members[k], m)
		}
	}
	return group(members)
}

// memberOf is the address of a pod, if it belongs to the Service's Endpoints.
func memberOf(s *corev1.Service, p *corev1.Pod) (member, bool) {
	if controller.PodTerminal(p) || p.DeletionTimestamp != nil && !s.Spec.PublishNotReadyAddresses {
		return member{}, false
	}
	ips := controller.PodAddresses(p, controller.ServiceFamilies(s)[0])
	if len(ips) == 0 {
		return member{}, false
	}
	a := corev1.EndpointAddress{IP: ips[0], Hostname: controller.EndpointHostname(p, s), TargetRef: controller.EndpointRef(p)}
	if n := p.Spec.NodeName; n != "" {
		a.NodeName = &n
	}
	return member{a, s.Spec.PublishNotReadyAddresses || controller.PodReady(p)}, true
}

// group puts ports with the same members into one subset. The order is fixed, so that
// equal states give equal objects.
func group(members map[port][]member) []corev1.EndpointSubset {
	byMembers := map[string]*corev1.EndpointSubset{}
	for k, ms := range members {
		slices.SortFunc(ms, func(a, b member) int {
			return cmp.Or(cmp.Compare(a.address.IP, b.address.IP), cmp.Compare(a.address.TargetRef.UID, b.address.TargetRef.UID))
		})
		var id strings.Builder
		for _, m := range ms {
			id.WriteString(string(m.address.TargetRef.UID) + "\n")
		}
		sub := byMembers[id.String()]
		if sub == nil {
			sub = &corev1.EndpointSubset{}
			for _, m := range ms {
				if m.ready {
					sub.Addresses = append(sub.Addresses, m.address)
				} else {
					sub.NotReadyAddresses = append(sub.NotReadyAddresses, m.address)
				}
			}
			byMembers[id.String()] = sub
		}
		if k.none {
			continue
		}
		p := k.EndpointPort
		if k.app != "" {
			p.AppProtocol = &k.app
		}
		sub.Ports = append(sub.Ports, p)
	}
	var out []corev1.EndpointSubset
	for _, sub := range byMembers {
		slices.SortFunc(sub.Ports, comparePorts)
		out = append(out, *sub)
	}
	slices.SortFunc(out, func(a, b corev1.EndpointSubset) int { return slices.CompareFunc(a.Ports, b.Ports, comparePorts) })
	return out
}

func comparePorts(a, b corev1.EndpointPort) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
}

// truncate keeps as many addresses as fit, ready ones first.
func truncate(subs []corev1.EndpointSubset) ([]corev1.EndpointSubset, bool) {
	room, cut := capacity, false
	take := func(a []corev1.EndpointAddress) []corev1.EndpointAddress {
		if len(a) > room {
			a, cut = a[:room], true
		}
		room -= len(a)
		return a
	}
	for i := range subs {
		subs[i].Addresses = take(subs[i].Addresses)
	}
	for i := range subs {
		subs[i].NotReadyAddresses = take(subs[i].NotReadyAddresses)
	}
	return slices.DeleteFunc(subs, func(s corev1.EndpointSubset) bool { return len(s.Addresses)+len(s.NotReadyAddresses) == 0 }), cut
}
