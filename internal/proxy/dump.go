package proxy

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/proxy/nft"
)

// Dump writes what one Service has in the data path, for people: a line for each
// element, near to how nft lists it, with the slots of one backend in one line.
func (s *State) Dump(w io.Writer, namespace, name string) error {
	svc := s.services[types.NamespacedName{Namespace: namespace, Name: name}]
	if svc == nil || svc.object == nil {
		_, err := fmt.Fprintf(w, "service %s/%s: unknown\n", namespace, name)
		return err
	}
	var all []nft.Element
	var lines []string
	for f := range svc.program.rules {
		if owner := s.claims[f][0]; owner != svc {
			lines = append(lines, fmt.Sprintf("taken %s by %s", f, owner.name))
			continue
		}
		all = slices.AppendSeq(all, s.rule(f).elements(f))
	}
	for _, a := range svc.program.clusterIPs {
		all = append(all, nft.Element{Kind: nft.KindClusterIP, Frontend: nft.Frontend{Addr: a}})
	}
	for _, a := range svc.program.hairpin {
		all = append(all, nft.Element{Kind: nft.KindHairpin, Frontend: nft.Frontend{Addr: a}})
	}
	lines = append(lines, describe(all)...)
	slices.Sort(lines)
	for _, l := range lines {
		if _, err := fmt.Fprintln(w, l); err != nil {
			return err
		}
	}
	return nil
}

// describe puts elements into lines.
func describe(elements []nft.Element) []string {
	type owner struct {
		frontend nft.Frontend
		backend  netip.AddrPort
		sticky   bool
	}
	slots := map[owner][]uint32{}
	var lines []string
	for _, e := range elements {
		if e.Kind == nft.KindSlot {
			o := owner{e.Frontend, e.Backend, e.Sticky}
			slots[o] = append(slots[o], e.Slot)
			continue
		}
		lines = append(lines, e.String())
	}
	for o, numbers := range slots {
		kind := "slot"
		if o.sticky {
			kind = "sticky-slot"
		}
		lines = append(lines, fmt.Sprintf("%s %s . %s : %s", kind, o.frontend, ranges(numbers), o.backend))
	}
	slices.Sort(lines)
	return lines
}

// ranges writes numbers as 4-6,8.
func ranges(n []uint32) string {
	slices.Sort(n)
	var parts []string
	for i := 0; i < len(n); {
		j := i
		for j+1 < len(n) && n[j+1] == n[j]+1 {
			j++
		}
		if j == i {
			parts = append(parts, fmt.Sprint(n[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", n[i], n[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}
