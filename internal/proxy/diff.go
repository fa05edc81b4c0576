package proxy

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"

	"github.com/skiff-k8s/skiff/internal/proxy/nft"
)

// elements yields what a frontend with this rule needs in the table.
func (r *rule) elements(f nft.Frontend) iter.Seq[nft.Element] {
	return func(yield func(nft.Element) bool) {
		for _, e := range r.fixed(f) {
			if !yield(e) {
				return
			}
		}
		for i, b := range r.slots {
			if !yield(r.slot(f, i, b)) {
				return
			}
		}
	}
}

// fixed returns the elements other than slots.
func (r *rule) fixed(f nft.Frontend) []nft.Element {
	if r == nil {
		return nil
	}
	var out []nft.Element
	if len(r.to) > 0 {
		out = append(out, nft.Element{Kind: nft.KindForward, Frontend: f, Mode: r.mode})
	} else {
		out = append(out, nft.Element{Kind: r.refusal, Frontend: f})
	}
	if r.sources != nil {
		out = append(out, nft.Element{Kind: nft.KindGuarded, Frontend: f})
		for _, p := range r.sources {
			out = append(out, nft.Element{Kind: nft.KindSource, Frontend: f, Source: p})
		}
	}
	return out
}

// slot makes the element of a slot, numbered within its class (see nft.Classes).
func (r *rule) slot(f nft.Frontend, i int, b netip.AddrPort) nft.Element {
	return nft.Element{Kind: nft.KindSlot, Frontend: f, Slot: uint32(len(r.slots) + i), Backend: b, Sticky: r.affinity() != 0}
}

// diff adds to the change what turns the old rule of a frontend into the present one.
func (s *State) diff(c *Change, f nft.Frontend, old *rule) {
	now := s.rule(f)
	was, is := old.fixed(f), now.fixed(f)
	for _, e := range was {
		if !slices.Contains(is, e) {
			c.Remove = append(c.Remove, e)
		}
	}
	for _, e := range is {
		if !slices.Contains(was, e) {
			c.Add = append(c.Add, e)
		}
	}
	c.diffSlots(f, old, now)
	gone := lost(old.backends(), now.backends())
	// A frontend that begins has flows to look at too: those of before it, that went nowhere.
	if f.Proto == nft.UDP && (gone || len(old.backends()) == 0 && len(now.backends()) > 0) {
		c.Flows = append(c.Flows, s.allowed(f))
	}
	if a := old.affinity(); a != 0 && (gone || now.affinity() == 0) {
		keep := nft.Allowed{Frontend: f}
		if now.affinity() != 0 {
			keep.Backends = now.backends()
		}
		c.Clients = append(c.Clients, keep)
	}
}

// diffSlots compares slot by slot; another class is another range of numbers, and
// the slots of frontends with affinity are in a map of their own.
func (c *Change) diffSlots(f nft.Frontend, old, now *rule) {
	same := old != nil && now != nil && len(old.slots) == len(now.slots) && (old.affinity() != 0) == (now.affinity() != 0)
	if old != nil {
		for i, b := range old.slots {
			if !same || b != now.slots[i] {
				c.Remove = append(c.Remove, old.slot(f, i, b))
			}
		}
	}
	if now != nil {
		for i, b := range now.slots {
			if !same || b != old.slots[i] {
				c.Add = append(c.Add, now.slot(f, i, b))
			}
		}
	}
}

func (r *rule) backends() []netip.AddrPort {
	if r == nil {
		return nil
	}
	return r.to
}

func (r *rule) affinity() uint32 {
	if r == nil {
		return 0
	}
	return r.mode.Affinity()
}

// lost tells if one of the old backends (sorted, as the new ones) is not there any more.
func lost(old, now []netip.AddrPort) bool {
	for _, b := range old {
		if _, ok := slices.BinarySearchFunc(now, b, netip.AddrPort.Compare); !ok {
			return true
		}
	}
	return false
}

func compareFrontends(a, b nft.Frontend) int {
	inside := func(f nft.Frontend) int {
		if f.Inside {
			return 1
		}
		return 0
	}
	return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port), inside(a)-inside(b))
}
