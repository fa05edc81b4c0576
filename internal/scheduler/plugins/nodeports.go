package plugins

import "github.com/skiff-k8s/skiff/internal/scheduler/snapshot"

var errPorts = reject(NodePorts, "node(s) didn't have free ports for the requested pod ports")

func preFilterPorts(c *Cycle) (bool, *Status) { return len(c.Pod.Ports) > 0, nil }

func filterPorts(c *Cycle, n *snapshot.Node) *Status {
	if clash(c.Pod.Ports, n.Ports) {
		return errPorts
	}
	return nil
}

func clash(want, taken []snapshot.HostPort) bool {
	for _, w := range want {
		for _, t := range taken {
			if w.Clashes(t) {
				return true
			}
		}
	}
	return false
}

func wakePorts(_ *snapshot.Snapshot, p *snapshot.Pod, ch *Change) bool {
	switch ch.Kind {
	case NodeChanged:
		return ch.Parts&snapshot.NodeAdded != 0
	case PodGone:
		return clash(p.Ports, ch.Pod.Ports)
	}
	return false
}
