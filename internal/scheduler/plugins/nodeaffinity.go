package plugins

import "github.com/skiff-k8s/skiff/internal/scheduler/snapshot"

var errNodeAffinity = rejectForGood(NodeAffinity, "node(s) didn't match Pod's node affinity/selector")

func preFilterNodeAffinity(c *Cycle) (bool, *Status) {
	if c.Want.Named {
		c.Names, c.Named = c.Want.Names, true
	}
	return c.Want.Select != nil, nil
}

func filterNodeAffinity(c *Cycle, n *snapshot.Node) *Status {
	if !c.Want.Select.Match(n) {
		return errNodeAffinity
	}
	return nil
}

// scoreNodeAffinity likes nodes that match more of what the pod prefers.
func scoreNodeAffinity(c *Cycle, nodes []*snapshot.Node, out []int64) bool {
	p := c.Want.Prefer
	if p == nil {
		return false
	}
	for i, n := range nodes {
		out[i] = p.Score(n)
	}
	return scaleToMax(out, false)
}

func wakeNodeAffinity(s *snapshot.Snapshot, p *snapshot.Pod, ch *Change) bool {
	if ch.Kind != NodeChanged || ch.Parts&(snapshot.NodeAdded|snapshot.NodeLabels) == 0 {
		return false
	}
	sel := s.Wants(p).Select
	return sel == nil || sel.Match(ch.Node)
}
