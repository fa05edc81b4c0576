// Package nodeipam gives each node its part of the pod network: a range of every
// cluster CIDR that no other node has.
package nodeipam

import (
	"math/big"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// Network is a cluster CIDR and the length of the prefixes that nodes get of it.
type Network struct {
	Prefix netip.Prefix
	Bits   int
}

// Networks gives /24 of IPv4 and /64 of IPv6 to each node.
func Networks(prefixes ...netip.Prefix) []Network {
	var out []Network
	for _, p := range prefixes {
		n := Network{p.Masked(), 64}
		if p.Addr().Is4() {
			n.Bits = 24
		}
		// A cluster CIDR that is smaller than that is for one node.
		n.Bits = max(n.Bits, p.Bits())
		out = append(out, n)
	}
	return out
}

// Spec is the node-ipam-controller. With one worker, and reads that see all
// writes, no range is given twice.
func Spec(networks []Network) controller.Spec {
	return controller.Spec{
		Name: "cidrAllocator", For: all.For[*corev1.Node](), Workers: 1,
		Step: func(v controller.View, k controller.Key) (controller.Plan, error) { return step(v, k, networks) },
	}
}

// retry is when a node looks for a range again after there was none.
const retry = 30 * time.Second

func step(v controller.View, k controller.Key, networks []Network) (controller.Plan, error) {
	node, err := client.Get[*corev1.Node](v.Context, v, "", k.Name)
	if errors.IsNotFound(err) {
		return controller.Plan{}, nil
	}
	if err != nil || node.DeletionTimestamp != nil || len(node.Spec.PodCIDRs) > 0 || node.Spec.PodCIDR != "" || len(networks) == 0 {
		return controller.Plan{}, err
	}
	nodes, err := client.List[*corev1.Node](v.Context, v, "", nil)
	if err != nil {
		return controller.Plan{}, err
	}
	var used []netip.Prefix
	for _, n := range nodes {
		for _, text := range append(slices.Clone(n.Spec.PodCIDRs), n.Spec.PodCIDR) {
			if p, err := netip.ParsePrefix(text); err == nil {
				used = append(used, p)
			}
		}
	}
	next := node.DeepCopy()
	for _, n := range networks {
		p, ok := n.free(used)
		if !ok {
			return controller.Plan{After: retry, Do: []controller.Action{{Event: &controller.Event{
				About: node, Type: corev1.EventTypeNormal, Reason: "CIDRNotAvailable", Message: "Node " + node.Name + " status is now: CIDRNotAvailable",
			}}}}, nil
		}
		next.Spec.PodCIDRs = append(next.Spec.PodCIDRs, p.String())
	}
	next.Spec.PodCIDR = next.Spec.PodCIDRs[0]
	return controller.Plan{Do: []controller.Action{{Update: next}}}, nil
}

// free is the first range of the network that overlaps none in use.
func (n Network) free(used []netip.Prefix) (netip.Prefix, bool) {
	used = slices.DeleteFunc(slices.Clone(used), func(u netip.Prefix) bool { return !u.Overlaps(n.Prefix) })
	slices.SortFunc(used, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	p := netip.PrefixFrom(n.Prefix.Addr(), n.Bits)
	for {
		i := slices.IndexFunc(used, p.Overlaps)
		if i < 0 {
			return p, true
		}
		used = used[i:]
		var ok bool
		if p, ok = following(p); !ok || !n.Prefix.Contains(p.Addr()) {
			return netip.Prefix{}, false
		}
	}
}

// following is the range of the same size after p.
func following(p netip.Prefix) (netip.Prefix, bool) {
	b := p.Addr().AsSlice()
	sum := new(big.Int).SetBytes(b)
	sum.Add(sum, new(big.Int).Lsh(big.NewInt(1), uint(len(b)*8-p.Bits())))
	if sum.BitLen() > len(b)*8 {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(sum.FillBytes(make([]byte, len(b))))
	return netip.PrefixFrom(a, p.Bits()), ok
}
