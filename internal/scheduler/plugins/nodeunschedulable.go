package plugins

import "github.com/skiff-k8s/skiff/internal/scheduler/snapshot"

var errUnschedulable = rejectForGood(NodeUnschedulable, "node(s) were unschedulable")

func preFilterUnschedulable(c *Cycle) (bool, *Status) { return !c.Want.Tolerations.Cordon(), nil }

func filterUnschedulable(_ *Cycle, n *snapshot.Node) *Status {
	if n.Unschedulable {
		return errUnschedulable
	}
	return nil
}

func wakeUnschedulable(_ *snapshot.Snapshot, _ *snapshot.Pod, ch *Change) bool {
	return ch.Kind == NodeChanged && ch.Parts&(snapshot.NodeAdded|snapshot.NodeTaints) != 0 && !ch.Node.Unschedulable
}
