package proxy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/skiff-k8s/skiff/internal/proxy/nft"
)

// table is what the kernel would hold.
type table map[nft.Element]nft.Element // by key

// key is the element without its data: two with one key cannot both be there.
func key(e nft.Element) nft.Element {
	e.Mode, e.Backend = 0, netip.AddrPort{}
	return e
}

func (tb table) apply(t *testing.T, c Change) {
	t.Helper()
	for _, e := range c.Remove {
		if tb[key(e)] != e {
			t.Fatalf("removes what is not there: %+v", e)
		}
		delete(tb, key(e))
	}
	for _, e := range c.Add {
		if was, ok := tb[key(e)]; ok {
			t.Fatalf("adds %+v over %+v", e, was)
		}
		tb[key(e)] = e
	}
}

func whole(t *testing.T, s *State) table {
	t.Helper()
	tb := table{}
	tb.apply(t, Change{Add: slices.Collect(s.Elements())})
	return tb
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
