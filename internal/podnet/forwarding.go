package podnet

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// recheckForwarding is how often the host's firewall is looked at: Docker, ufw and
// the like may come after us, and replace what is there.
const recheckForwarding = 30 * time.Second

// keepForwarding lets pods' packets pass the FORWARD chain of the host's firewall: its
// policy is DROP where Docker or ufw set it so, and no table of ours can overrule that.
func (a *Agent) keepForwarding(ctx context.Context) {
	tick := time.NewTicker(recheckForwarding)
	defer tick.Stop()
	for {
		if err := allowForwarding(a.Bridge); err != nil {
			a.Log.Warn("the host's firewall may drop what pods send and receive", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// allowForwarding puts rules for the bridge before all others, unless they are there.
func allowForwarding(bridge string) error {
	c, err := connect()
	if err != nil {
		return err
	}
	chain, ours, err := forwardChain(c, bridge)
	if err != nil || chain == nil || chain.Policy == nil || *chain.Policy != nftables.ChainPolicyDrop || len(ours) == 2 {
		return err
	}
	for _, r := range ours {
		if err := c.DelRule(r); err != nil {
			return err
		}
	}
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, bridge)
	for _, key := range []expr.MetaKey{expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME} {
		c.InsertRule(&nftables.Rule{Table: chain.Table, Chain: chain, UserData: forwardingComment(bridge), Exprs: []expr.Any{
			&expr.Meta{Key: key, Register: regCompare},
			&expr.Cmp{Op: expr.CmpOpEq, Register: regCompare, Data: name},
			&expr.Counter{}, // iptables expects one
			&expr.Verdict{Kind: expr.VerdictAccept},
		}})
	}
	return c.Flush()
}

// forwardingComment is how our rules in a chain of others are known.
func forwardingComment(bridge string) []byte {
	return userdata.AppendString(nil, userdata.TypeComment, "pods of skiff, "+bridge)
}

// forwardChain finds the FORWARD chain of iptables-nft, if there is one, and our rules in it.
func forwardChain(c *nftables.Conn, bridge string) (chain *nftables.Chain, ours []*nftables.Rule, err error) {
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return nil, nil, fmt.Errorf("list nftables chains: %w", err)
	}
	for _, ch := range chains {
		if ch.Table.Name == "filter" && ch.Name == "FORWARD" {
			chain = ch
		}
	}
	if chain == nil {
		return nil, nil, nil
	}
	rules, err := c.GetRules(chain.Table, chain)
	if err != nil {
		return nil, nil, fmt.Errorf("list rules of the FORWARD chain: %w", err)
	}
	for _, r := range rules {
		if bytes.Equal(r.UserData, forwardingComment(bridge)) {
			ours = append(ours, r)
		}
	}
	return chain, ours, nil
}

func disallowForwarding(bridge string) error {
	c, err := connect()
	if err != nil {
		return err
	}
	_, ours, err := forwardChain(c, bridge)
	if err != nil || len(ours) == 0 {
		return err
	}
	for _, r := range ours {
		if err := c.DelRule(r); err != nil {
			return err
		}
	}
	return c.Flush()
}
