package plugins

import "github.com/skiff-k8s/skiff/internal/scheduler/snapshot"

var errNodeName = rejectForGood(NodeName, "node(s) didn't match the requested node name")

func preFilterNodeName(c *Cycle) (bool, *Status) { return c.Pod.Obj.Spec.NodeName != "", nil }

func filterNodeName(c *Cycle, n *snapshot.Node) *Status {
	if c.Pod.Obj.Spec.NodeName != n.Name {
		return errNodeName
	}
	return nil
}

func wakeNodeName(_ *snapshot.Snapshot, p *snapshot.Pod, ch *Change) bool {
	return ch.Kind == NodeChanged && ch.Parts&snapshot.NodeAdded != 0 && ch.Node.Name == p.Obj.Spec.NodeName
}
