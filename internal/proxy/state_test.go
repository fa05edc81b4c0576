package proxy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/skiff-k8s/skiff/internal/proxy/nft"
)

// table is what the kernel would hold.
type table map[nft.Element]nft.Element // by key

func (tb table) apply(t *testing.T, c Change) {
	t.Helper()
	for _, e := range c.Remove {
		if tb[e.Key()] != e {
			t.Fatalf("removes what is not there: %+v", e)
		}
		delete(tb, e.Key())
	}
	for _, e := range c.Add {
		if was, ok := tb[e.Key()]; ok {
			t.Fatalf("adds %+v over %+v", e, was)
		}
		tb[e.Key()] = e
	}
}

func whole(t *testing.T, s *State) table {
	t.Helper()
	tb := table{}
	tb.apply(t, Change{Add: slices.Collect(s.Elements())})
	return tb
}

// text writes elements for people, one a line.
func text(es []nft.Element) []string {
	kinds := []string{"mode", "slot", "reject", "drop", "cluster-ip", "hairpin", "guarded", "source"}
	var out []string
	for _, e := range es {
		f := e.Frontend
		s := fmt.Sprintf("%s %s", kinds[e.Kind], f.Addr)
		if f.Port != 0 {
			s += fmt.Sprintf(" %d/%d", f.Port, f.Proto)
		}
		if f.Inside {
			s += " inside"
		}
		switch e.Kind {
		case nft.KindMode:
			s += fmt.Sprintf(" affinity %d", e.Mode.Affinity())
			if e.Mode&nft.MasqueradeAlways != 0 {
				s += " masquerade"
			}
			if e.Mode&nft.MasqueradeOutside != 0 {
				s += " masquerade-outside"
			}
		case nft.KindSlot:
			s += fmt.Sprintf(" %d -> %s", e.Slot, e.Backend)
		case nft.KindSource:
			s += " " + e.Source.String()
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func TestChanges(t *testing.T) {
	s := NewState(Node{Name: "here", IPs: []netip.Addr{netip.MustParseAddr("192.168.0.2")}})
	steps := []struct {
		name        string
		do          func()
		remove, add string
	}{
		{"a Service without endpoints", func() { s.SetService(makeService("web", "10.96.0.10")) }, "", `
cluster-ip 10.96.0.10
reject 10.96.0.10 80/6`},
		{"one endpoint", func() { s.SetSlice(makeSlice("web", "10.244.0.1")) }, `
reject 10.96.0.10 80/6`, `
hairpin 10.244.0.1
mode 10.96.0.10 80/6 affinity 0 masquerade-outside
slot 10.96.0.10 80/6 4 -> 10.244.0.1:8080
slot 10.96.0.10 80/6 5 -> 10.244.0.1:8080
slot 10.96.0.10 80/6 6 -> 10.244.0.1:8080
slot 10.96.0.10 80/6 7 -> 10.244.0.1:8080`},
		{"the same again", func() { s.SetSlice(makeSlice("web", "10.244.0.1")) }, "", ""},
		{"affinity", func() { s.SetService(makeService("web", "10.96.0.10", affine)) }, `
mode 10.96.0.10 80/6 affinity 0 masquerade-outside`, `
mode 10.96.0.10 80/6 affinity 10800 masquerade-outside`},
		{"a node port, local", func() { s.SetService(makeService("web", "10.96.0.10", nodePort(30080), localOnly)) }, `
mode 10.96.0.10 80/6 affinity 10800 masquerade-outside`, `
mode 0.0.0.0 30080/6 affinity 0
mode 0.0.0.0 30080/6 inside affinity 0 masquerade-outside
mode 10.96.0.10 80/6 affinity 0 masquerade-outside
slot 0.0.0.0 30080/6 4 -> 10.244.0.1:8080
slot 0.0.0.0 30080/6 5 -> 10.244.0.1:8080
slot 0.0.0.0 30080/6 6 -> 10.244.0.1:8080
slot 0.0.0.0 30080/6 7 -> 10.244.0.1:8080
slot 0.0.0.0 30080/6 inside 4 -> 10.244.0.1:8080
slot 0.0.0.0 30080/6 inside 5 -> 10.244.0.1:8080
slot 0.0.0.0 30080/6 inside 6 -> 10.244.0.1:8080
slot 0.0.0.0 30080/6 inside 7 -> 10.244.0.1:8080`},
		{"the endpoint moves away", func() { s.SetSlice(elsewhere(makeSlice("web", "10.244.0.1"))) }, `
hairpin 10.244.0.1
mode 0.0.0.0 30080/6 affinity 0
slot 0.0.0.0 30080/6 4 -> 10.244.0.1:8080
slot 0.0.0.0 30080/6 5 -> 10.244.0.1:8080
slot 0.0.0.0 30080/6 6 -> 10.244.0.1:8080
slot 0.0.0.0 30080/6 7 -> 10.244.0.1:8080`, `
drop 0.0.0.0 30080/6`},
		{"it ends, but serves", func() {
			sl := elsewhere(makeSlice("web", "10.244.0.1"))
			sl.Endpoints[0].Conditions = discoveryv1.EndpointConditions{Ready: ptr(false), Serving: ptr(true), Terminating: ptr(true)}
			s.SetSlice(sl)
		}, "", ""},
		{"the Service goes, and its address goes to another at once", func() {
			s.DeleteService("default", "web")
			s.SetService(makeService("a", "10.96.0.10"))
		}, `
drop 0.0.0.0 30080/6
mode 0.0.0.0 30080/6 inside affinity 0 masquerade-outside
mode 10.96.0.10 80/6 affinity 0 masquerade-outside
slot 0.0.0.0 30080/6 inside 4 -> 10.244.0.1:8080
slot 0.0.0.0 30080/6 inside 5 -> 10.244.0.1:8080
slot 0.0.0.0 30080/6 inside 6 -> 10.244.0.1:8080
slot 0.0.0.0 30080/6 inside 7 -> 10.244.0.1:8080
slot 10.96.0.10 80/6 4 -> 10.244.0.1:8080
slot 10.96.0.10 80/6 5 -> 10.244.0.1:8080
slot 10.96.0.10 80/6 6 -> 10.244.0.1:8080
slot 10.96.0.10 80/6 7 -> 10.244.0.1:8080`, `
reject 10.96.0.10 80/6`},
	}
	tb := table{}
	for _, step := range steps {
		step.do()
		c := s.Changes()
		tb.apply(t, c)
		if got := strings.Join(text(c.Remove), "\n"); got != strings.TrimSpace(step.remove) {
			t.Errorf("%s: removes\n%s\nwant%s", step.name, got, step.remove)
		}
		if got := strings.Join(text(c.Add), "\n"); got != strings.TrimSpace(step.add) {
			t.Errorf("%s: adds\n%s\nwant%s", step.name, got, step.add)
		}
	}
}

// Any sequence of changes ends in what a new State would say at once.
func TestIncrementalEqualsRebuild(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		node := Node{Name: "here"}
		s, tb := NewState(node), table{}
		services, slicesOf := map[string]*corev1.Service{}, map[string]*discoveryv1.EndpointSlice{}
		for range 120 {
			for range 1 + r.IntN(3) {
				mutate(r, s, services, slicesOf)
			}
			tb.apply(t, s.Changes())
			again := NewState(node)
			for _, o := range services {
				again.SetService(o)
			}
			for _, o := range slicesOf {
				again.SetSlice(o)
			}
			fresh := table{}
			fresh.apply(t, again.Changes())
			if !maps.Equal(tb, fresh) || !maps.Equal(tb, whole(t, s)) {
				t.Fatalf("seed %d: incremental and rebuilt tables differ", seed)
			}
		}
	}
}

func mutate(r *rand.Rand, s *State, services map[string]*corev1.Service, eps map[string]*discoveryv1.EndpointSlice) {
	name := fmt.Sprintf("s%d", r.IntN(6))
	switch r.IntN(5) {
	case 0:
		delete(services, name)
		s.DeleteService("default", name)
	case 1, 2:
		o := makeService(name, fmt.Sprintf("10.96.0.%d", r.IntN(5)+1)) // sometimes two want one
		for _, c := range []func(*corev1.Service){nodePort(int32(30000 + r.IntN(4))), affine, udp, localOnly, func(s *corev1.Service) {
			s.Spec.ExternalIPs = []string{"203.0.113.1"}
		}, func(s *corev1.Service) { s.Spec.InternalTrafficPolicy = ptr(corev1.ServiceInternalTrafficPolicyLocal) }} {
			if r.IntN(2) == 0 {
				c(o)
			}
		}
		services[name] = o
		s.SetService(o)
	case 3:
		slice := fmt.Sprintf("%s-x", name)
		delete(eps, slice)
		s.DeleteSlice("default", slice)
	case 4:
		var ips []string
		for i := range r.IntN(5) {
			ips = append(ips, fmt.Sprintf("10.244.0.%d", i+r.IntN(4)*5))
		}
		o := makeSlice(name, ips...)
		if r.IntN(3) == 0 {
			o = makeUDPSlice(name, ips...)
		}
		if r.IntN(4) == 0 { // a slice that changes hands
			o.Labels = map[string]string{discoveryv1.LabelServiceName: fmt.Sprintf("s%d", r.IntN(6))}
		}
		for i := range o.Endpoints {
			if r.IntN(2) == 0 {
				o.Endpoints[i].NodeName = ptr("there")
			}
			if r.IntN(4) == 0 {
				o.Endpoints[i].Conditions = discoveryv1.EndpointConditions{Ready: ptr(false), Serving: ptr(r.IntN(2) == 0), Terminating: ptr(true)}
			}
		}
		eps[o.Name] = o
		s.SetSlice(o)
	}
}

func TestSlots(t *testing.T) {
	var all []netip.AddrPort
	for i := range 1600 {
		all = append(all, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 244, byte(i >> 8), byte(i)}), 8080))
	}
	for _, n := range []int{1, 2, 3, 4, 5, 7, 10, 33, 100, 250, 1000, 1600} {
		slots := nft.Classes[classFor(n)]
		owners := assign(all[:n], slots)
		share := map[netip.AddrPort]int{}
		for _, o := range owners {
			share[o]++
		}
		fair := float64(slots) / float64(n)
		for e, got := range share {
			if d := float64(got)/fair - 1; d > maxUneven || d < -maxUneven {
				t.Errorf("%d endpoints: %s has %d of %d slots", n, e, got, slots)
			}
		}
		if len(share) != n {
			t.Errorf("%d endpoints: %d have slots", n, len(share))
		}
		if n < 5 || classFor(n) != classFor(n-1) {
			continue
		}
		moved := 0
		for i, o := range assign(all[:n-1], slots) {
			if o != owners[i] {
				moved++
			}
		}
		if limit := int(3*fair) + int(slots)/20; moved > limit {
			t.Errorf("%d endpoints, one goes: %d of %d slots move, want at most %d", n, moved, slots, limit)
		}
	}
}

func TestHints(t *testing.T) {
	sl := makeSlice("web", "10.244.0.1", "10.244.0.2")
	sl.Endpoints[0].Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "z1"}}}
	sl.Endpoints[1].Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "z2"}}}
	svc := makeService("web", "10.96.0.10")
	for zone, want := range map[string]int{"z1": 1, "z2": 1, "z3": 2, "": 2} {
		b := endpoints{"x": sl}.choose(Node{Name: "here", Zone: zone}, &svc.Spec.Ports[0], true)
		if len(b.cluster) != want {
			t.Errorf("zone %q: %d endpoints, want %d", zone, len(b.cluster), want)
		}
	}
}
