package proxy

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/skiff-k8s/skiff/internal/proxy/nft"
)

// maxUneven is how far the share of an endpoint may be from fair (1/n of the slots).
const maxUneven = 0.15

// classFor returns the index of the smallest slot class that shares its slots
// among n endpoints evenly enough. Beyond the largest class the endpoints are
// shared as evenly as that one can.
func classFor(n int) int {
	for i, slots := range nft.Classes {
		least, most := int(slots)/n, (int(slots)+n-1)/n
		fair := float64(slots) / float64(n)
		if float64(most)-fair <= maxUneven*fair && fair-float64(least) <= maxUneven*fair {
			return i
		}
	}
	return len(nft.Classes) - 1
}

// assign gives every slot an owner, as Maglev does: the endpoints take turns,
// each taking the first free slot of its own permutation of them. So shares
// differ by one slot at most, the result depends on the set of endpoints and
// nothing else, and a changed set moves few slots besides those it must.
// The endpoints are distinct; there is at least one.
func assign(endpoints []netip.AddrPort, slots uint32) []netip.AddrPort {
	type claimant struct {
		endpoint   netip.AddrPort
		hash       uint64
		next, skip uint32
	}
	claimants := make([]claimant, len(endpoints))
	for i, e := range endpoints {
		h := hash(e)
		// An odd step visits every slot of a power of two.
		claimants[i] = claimant{e, h, uint32(h) & (slots - 1), uint32(h>>32)&(slots-1) | 1}
	}
	slices.SortFunc(claimants, func(a, b claimant) int {
		if a.hash != b.hash {
			if a.hash < b.hash {
				return -1
			}
			return 1
		}
		return a.endpoint.Compare(b.endpoint)
	})
	owners := make([]netip.AddrPort, slots)
	for free := slots; free > 0; {
		for i := range claimants {
			c := &claimants[i]
			for owners[c.next].IsValid() {
				c.next = (c.next + c.skip) & (slots - 1)
			}
			owners[c.next] = c.endpoint
			if free--; free == 0 {
				break
			}
		}
	}
	return owners
}

// hash spreads an endpoint over 64 bits (FNV-1a, then the splitmix64 finisher,
// because the permutation takes bits from both ends). It is not secret: clients do
// not choose endpoints' addresses.
func hash(e netip.AddrPort) uint64 {
	a := e.Addr().As16()
	var port [2]byte
	binary.BigEndian.PutUint16(port[:], e.Port())
	h := uint64(14695981039346656037)
	for _, b := range append(a[:], port[:]...) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
