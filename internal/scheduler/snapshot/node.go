package snapshot

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// Node is a node and what is left on it.
type Node struct {
	Slot          int32
	Unschedulable bool
	MaxPods       int64
	Alloc, Used   Room
	// NonZeroCPU and NonZeroMemory are Used as scoring counts it.
	NonZeroCPU, NonZeroMemory int64
	Taints                    *TaintSet
	Pods                      []*Pod
	Ports                     []HostPort // in use, with repeats
	Name                      string
	Obj                       *corev1.Node
	zone                      string
}

// Change says what of a node changed.
type Change uint16

// The parts of a node that scheduling looks at.
const (
	NodeAdded Change = 1 << iota
	NodeAllocatable
	NodeLabels
	NodeTaints // and spec.unschedulable
	NodeImages
)

// SetNode adds or updates a node and says what changed.
func (s *Snapshot) SetNode(o *corev1.Node) Change {
	n := s.nodes[o.Name]
	if n == nil {
		s.addNode(o)
		return NodeAdded
	}
	var c Change
	old := n.Obj
	n.Obj = o
	if !equality.Semantic.DeepEqual(old.Status.Allocatable, o.Status.Allocatable) {
		c |= NodeAllocatable
		n.Alloc, n.MaxPods = s.room(o.Status.Allocatable)
	}
	if old.Spec.Unschedulable != o.Spec.Unschedulable || !slices.EqualFunc(old.Spec.Taints, o.Spec.Taints, sameTaint) {
		c |= NodeTaints
		n.Unschedulable = o.Spec.Unschedulable
		n.Taints = s.taintSet(o.Spec.Taints)
	}
	if !maps.Equal(old.Labels, o.Labels) {
		c |= NodeLabels
		if z := zoneOf(o); z != n.zone {
			n.zone, s.order = z, nil
		}
		s.relabel(n)
	}
	if !slices.EqualFunc(old.Status.Images, o.Status.Images, sameImage) {
		c |= NodeImages
		s.dropImages(n, old)
		s.addImages(n, o)
	}
	return c
}

func (s *Snapshot) addNode(o *corev1.Node) {
	n := &Node{Name: o.Name, Obj: o, Unschedulable: o.Spec.Unschedulable, zone: zoneOf(o)}
	if k := len(s.free); k > 0 {
		n.Slot = s.free[k-1]
		s.free = s.free[:k-1]
		s.slots[n.Slot] = n
	} else {
		n.Slot = int32(len(s.slots))
		s.slots = append(s.slots, n)
		for _, g := range s.groups {
			g.PerNode = append(g.PerNode, 0)
		}
		for _, h := range s.holders {
			h.PerNode = append(h.PerNode, 0)
		}
		for _, t := range s.topologies {
			t.Domain = append(t.Domain, none)
		}
	}
	s.nodes[o.Name] = n
	s.order = nil
	n.Alloc, n.MaxPods = s.room(o.Status.Allocatable)
	n.Taints = s.taintSet(o.Spec.Taints)
	s.relabel(n)
	s.addImages(n, o)
	waiting := s.orphan[o.Name]
	delete(s.orphan, o.Name)
	for p := range waiting {
		s.account(p, n)
	}
}

// RemoveNode forgets a node. Its pods are kept and counted again when it comes back.
func (s *Snapshot) RemoveNode(name string) {
	n := s.nodes[name]
	if n == nil {
		return
	}
	for len(n.Pods) > 0 {
		p := n.Pods[len(n.Pods)-1]
		s.discount(p)
		s.addOrphan(p, name)
	}
	s.dropImages(n, n.Obj)
	for _, t := range s.topologies {
		t.leave(n.Slot)
	}
	delete(s.nodes, name)
	s.slots[n.Slot] = nil
	s.free = append(s.free, n.Slot)
	s.order = nil
}

func (s *Snapshot) addOrphan(p *Pod, node string) {
	if s.orphan[node] == nil {
		s.orphan[node] = map[*Pod]struct{}{}
	}
	s.orphan[node][p] = struct{}{}
	p.held = nil
}

// relabel brings what depends on the node's labels up to date.
func (s *Snapshot) relabel(n *Node) {
	for _, t := range s.topologies {
		t.leave(n.Slot)
		t.enter(n)
	}
	for _, m := range s.selects {
		m.forget(n.Slot)
	}
	for _, m := range s.prefers {
		m.forget(n.Slot)
	}
}

func sameTaint(a, b corev1.Taint) bool {
	return a.Key == b.Key && a.Value == b.Value && a.Effect == b.Effect
}

func sameImage(a, b corev1.ContainerImage) bool {
	return a.SizeBytes == b.SizeBytes && slices.Equal(a.Names, b.Names)
}
