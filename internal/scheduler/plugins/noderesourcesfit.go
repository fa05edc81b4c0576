package plugins

import (
	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

// fitNotes keeps the statuses made so far: there are few different ones.
type fitNotes struct {
	known map[fitFailure]*Status
}

// fitFailure is what a node is short of.
type fitFailure struct {
	pods, cpu, memory, ephemeral bool
	unresolvable                 bool
}

func filterFit(c *Cycle, n *snapshot.Node) *Status {
	r := &c.Pod.Requests
	tooMany := int64(len(n.Pods))+1 > n.MaxPods
	if !tooMany &&
		(r.CPU == 0 || r.CPU <= n.Alloc.CPU-n.Used.CPU) &&
		(r.Memory == 0 || r.Memory <= n.Alloc.Memory-n.Used.Memory) &&
		(r.Ephemeral == 0 || r.Ephemeral <= n.Alloc.Ephemeral-n.Used.Ephemeral) &&
		len(r.Scalars) == 0 {
		return nil
	}
	f := fitFailure{
		pods:      tooMany,
		cpu:       r.CPU > 0 && r.CPU > n.Alloc.CPU-n.Used.CPU,
		memory:    r.Memory > 0 && r.Memory > n.Alloc.Memory-n.Used.Memory,
		ephemeral: r.Ephemeral > 0 && r.Ephemeral > n.Alloc.Ephemeral-n.Used.Ephemeral,
	}
	f.unresolvable = f.cpu && r.CPU > n.Alloc.CPU || f.memory && r.Memory > n.Alloc.Memory ||
		f.ephemeral && r.Ephemeral > n.Alloc.Ephemeral
	var short []string
	for _, a := range r.Scalars {
		alloc := n.Alloc.Scalar(a.ID)
		if a.Value > alloc-n.Used.Scalar(a.ID) {
			short = append(short, "Insufficient "+c.S.ScalarName(a.ID))
			f.unresolvable = f.unresolvable || a.Value > alloc
		}
	}
	if short != nil {
		st := f.status()
		st.Reasons = append(st.Reasons, short...)
		return st
	}
	if f == (fitFailure{}) {
		return nil
	}
	st := c.fit.known[f]
	if st == nil {
		if c.fit.known == nil {
			c.fit.known = map[fitFailure]*Status{}
		}
		st = f.status()
		c.fit.known[f] = st
	}
	return st
}

func (f fitFailure) status() *Status {
	st := &Status{Plugin: NodeResourcesFit, Unresolvable: f.unresolvable}
	for _, s := range []struct {
		short  bool
		reason string
	}{
		{f.pods, "Too many pods"},
		{f.cpu, "Insufficient cpu"},
		{f.memory, "Insufficient memory"},
		{f.ephemeral, "Insufficient ephemeral-storage"},
	} {
		if s.short {
			st.Reasons = append(st.Reasons, s.reason)
		}
	}
	return st
}

// scoreLeastAllocated likes nodes with a larger part of CPU and memory left.
func scoreLeastAllocated(c *Cycle, nodes []*snapshot.Node, out []int64) bool {
	cpu, memory := c.Pod.NonZeroCPU, c.Pod.NonZeroMemory
	for i, n := range nodes {
		var sum, weight int64
		if n.Alloc.CPU > 0 {
			sum += left(n.NonZeroCPU+cpu, n.Alloc.CPU)
			weight++
		}
		if n.Alloc.Memory > 0 {
			sum += left(n.NonZeroMemory+memory, n.Alloc.Memory)
			weight++
		}
		if weight == 2 {
			sum /= 2
		}
		out[i] = sum
	}
	return true
}

func left(used, of int64) int64 {
	if used > of {
		return 0
	}
	return (of - used) * MaxScore / of
}

func wakeFit(_ *snapshot.Snapshot, p *snapshot.Pod, ch *Change) bool {
	switch ch.Kind {
	case PodGone:
		return true // at least a pod fewer
	case PodShrunk:
		return true
	case NodeChanged:
		if ch.Parts&(snapshot.NodeAdded|snapshot.NodeAllocatable) == 0 {
			return false
		}
		n, r := ch.Node, &p.Requests
		if int64(len(n.Pods)) >= n.MaxPods || r.CPU > n.Alloc.CPU-n.Used.CPU || r.Memory > n.Alloc.Memory-n.Used.Memory ||
			r.Ephemeral > n.Alloc.Ephemeral-n.Used.Ephemeral {
			return false
		}
		for _, a := range r.Scalars {
			if a.Value > n.Alloc.Scalar(a.ID)-n.Used.Scalar(a.ID) {
				return false
			}
		}
		return true
	}
	return false
}
