package podnet

import (
	"testing"

	"github.com/google/nftables"
)

// TestForwardingBehindAFirewall: a host whose FORWARD chain drops all, as Docker leaves it.
func TestForwardingBehindAFirewall(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	r := newRig(t)
	far := r.outside("192.0.2.1/24", "192.0.2.7/24")
	b := r.add("b", plain)
	r.serve(far, "80")
	c, err := connect()
	r.ok(err)
	drop := nftables.ChainPolicyDrop
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "filter"})
	c.AddChain(&nftables.Chain{Table: table, Name: "FORWARD", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &drop})
	r.ok(c.Flush())
	for range 2 {
		r.ok(allowForwarding(r.o.Bridge))
	}
	_, ours, err := forwardChain(c, r.o.Bridge)
	r.ok(err)
	if len(ours) != 2 {
		t.Errorf("%d rules of ours; want 2", len(ours))
	}
	r.want(b, "192.0.2.7:80", "outside sees 192.0.2.1")
	r.stop()
	r.ok(Remove(r.o))
	chain, ours, err := forwardChain(c, r.o.Bridge)
	r.ok(err)
	if chain == nil || len(ours) != 0 {
		t.Errorf("chain %v, rules of ours %v after the removal", chain, ours)
	}
}
