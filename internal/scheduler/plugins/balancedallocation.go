package plugins

import (
	"math"

	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

// scoreBalanced likes nodes whose CPU and memory are used to a like part.
func scoreBalanced(c *Cycle, nodes []*snapshot.Node, out []int64) bool {
	cpu, memory := c.Pod.Requests.CPU, c.Pod.Requests.Memory
	if cpu == 0 && memory == 0 {
		return false // a pod without requests changes no balance
	}
	for i, n := range nodes {
		if n.Alloc.CPU == 0 || n.Alloc.Memory == 0 {
			out[i] = MaxScore // of one resource alone there is no imbalance
			continue
		}
		a := min(1, float64(n.Used.CPU+cpu)/float64(n.Alloc.CPU))
		b := min(1, float64(n.Used.Memory+memory)/float64(n.Alloc.Memory))
		out[i] = int64((1 - math.Abs((a-b)/2)) * MaxScore)
	}
	return true
}
