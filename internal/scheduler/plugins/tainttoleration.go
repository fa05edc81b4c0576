package plugins

import "github.com/skiff-k8s/skiff/internal/scheduler/snapshot"

var errTaints = rejectForGood(TaintToleration, "node(s) had untolerated taint(s)")

func filterTaints(c *Cycle, n *snapshot.Node) *Status {
	if len(n.Taints.Taints) > 0 && c.Want.Tolerations.Blocked(n.Taints) {
		return errTaints
	}
	return nil
}

// scoreTaints likes nodes with fewer PreferNoSchedule taints that are not tolerated.
func scoreTaints(c *Cycle, nodes []*snapshot.Node, out []int64) bool {
	t := c.Want.Tolerations
	for i, n := range nodes {
		out[i] = 0
		if len(n.Taints.Taints) > 0 {
			out[i] = t.Avoid(n.Taints)
		}
	}
	return scaleToMax(out, true)
}

func wakeTaints(s *snapshot.Snapshot, p *snapshot.Pod, ch *Change) bool {
	return ch.Kind == NodeChanged && ch.Parts&(snapshot.NodeAdded|snapshot.NodeTaints) != 0 &&
		!s.Wants(p).Tolerations.Blocked(ch.Node.Taints)
}
