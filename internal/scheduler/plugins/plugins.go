// Package plugins holds what decides where a pod may run and where it runs best:
// one file per plugin, and the one table of their order and weights below.
//
// A plugin filters nodes, scores those that are left, or both, looking only at a
// Cycle: one pod against one snapshot. Nothing here blocks, reads a clock or keeps
// state between cycles; the texts of statuses are those that Kubernetes prints.
//
// Read this file, then tainttoleration.go as the smallest example.
package plugins

import (
	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

// Plugin is one concern of scheduling. Nil functions have nothing to say.
type Plugin struct {
	Name   string
	Weight int64 // of Score among the others

	// PreFilter looks at the pod once per cycle. It tells whether Filter has anything to do,
	// or gives the status that keeps the pod off every node.
	PreFilter func(c *Cycle) (active bool, reject *Status)
	// Filter tells why the pod cannot run on the node; nil: it can.
	Filter func(c *Cycle, n *snapshot.Node) *Status
	// Score fills in how good each node is, from 0 to MaxScore. It returns false
	// when all are the same to it.
	Score func(c *Cycle, nodes []*snapshot.Node, out []int64) bool
	// Wake tells whether the change may let a pod run that this plugin kept from running.
	Wake func(s *snapshot.Snapshot, p *snapshot.Pod, ch *Change) bool
	// CrossNode: Filter of one node depends on the pods of others.
	CrossNode bool
}

// MaxScore is the best that a plugin can say of a node.
const MaxScore = 100

// Table is every plugin, in the order in which they filter.
var Table = [...]Plugin{
	SchedulingGates: {Name: "SchedulingGates"},
	NodeUnschedulable: {Name: "NodeUnschedulable",
		PreFilter: preFilterUnschedulable, Filter: filterUnschedulable, Wake: wakeUnschedulable},
	NodeName: {Name: "NodeName",
		PreFilter: preFilterNodeName, Filter: filterNodeName, Wake: wakeNodeName},
	TaintToleration: {Name: "TaintToleration", Weight: 3,
		Filter: filterTaints, Score: scoreTaints, Wake: wakeTaints},
	NodeAffinity: {Name: "NodeAffinity", Weight: 2,
		PreFilter: preFilterNodeAffinity, Filter: filterNodeAffinity, Score: scoreNodeAffinity, Wake: wakeNodeAffinity},
	NodePorts: {Name: "NodePorts",
		PreFilter: preFilterPorts, Filter: filterPorts, Wake: wakePorts},
	NodeResourcesFit: {Name: "NodeResourcesFit", Weight: 1,
		Filter: filterFit, Score: scoreLeastAllocated, Wake: wakeFit},
	VolumeRestrictions: {Name: "VolumeRestrictions",
		PreFilter: preFilterVolumeRestrictions, Filter: filterVolumeRestrictions, Wake: wakeVolumeRestrictions},
	NodeVolumeLimits: {Name: "NodeVolumeLimits",
		PreFilter: preFilterVolumeLimits, Filter: filterVolumeLimits, Wake: wakeVolumeLimits},
	VolumeBinding: {Name: "VolumeBinding",
		PreFilter: preFilterVolumes, Filter: filterVolumes, Wake: wakeVolumes},
	PodTopologySpread: {Name: "PodTopologySpread", Weight: 2, CrossNode: true,
		PreFilter: preFilterSpread, Filter: filterSpread, Score: scoreSpread, Wake: wakeSpread},
	InterPodAffinity: {Name: "InterPodAffinity", Weight: 2, CrossNode: true,
		PreFilter: preFilterInterPod, Filter: filterInterPod, Score: scoreInterPod, Wake: wakeInterPod},
	NodeResourcesBalancedAllocation: {Name: "NodeResourcesBalancedAllocation", Weight: 1,
		Score: scoreBalanced},
	ImageLocality: {Name: "ImageLocality", Weight: 1,
		Score: scoreImages},
	DynamicResources: {Name: "DynamicResources",
		PreFilter: preFilterClaims},
}

// Index is a plugin's place in the table.
type Index uint8

// The places.
const (
	SchedulingGates Index = iota
	NodeUnschedulable
	NodeName
	TaintToleration
	NodeAffinity
	NodePorts
	NodeResourcesFit
	VolumeRestrictions
	NodeVolumeLimits
	VolumeBinding
	PodTopologySpread
	InterPodAffinity
	NodeResourcesBalancedAllocation
	ImageLocality
	DynamicResources
)

// Set is a set of plugins, a bit each.
type Set uint32

// Has tells whether a plugin is in the set.
func (s Set) Has(i Index) bool { return s&(1<<i) != 0 }

// Status is why a pod cannot run on a node. Statuses are shared: do not change one.
type Status struct {
	Plugin  Index
	Reasons []string
	// Unresolvable: removing other pods from the node would not help.
	Unresolvable bool
}

func reject(p Index, reason string) *Status { return &Status{Plugin: p, Reasons: []string{reason}} }

func rejectForGood(p Index, reason string) *Status {
	return &Status{Plugin: p, Reasons: []string{reason}, Unresolvable: true}
}

// Cycle is one pod against a snapshot, with the plugins' notes about it. It is used again
// for the next pod, so that a cycle allocates next to nothing.
type Cycle struct {
	S    *snapshot.Snapshot
	Pod  *snapshot.Pod
	Want *snapshot.Wants
	// Names limits the search to these nodes when Named.
	Names   []string
	Named   bool
	namedBy Index

	filters   []Index
	crossNode bool

	fit      fitNotes
	spread   spreadNotes
	interPod interPodNotes
	volumes  volumeNotes
	scores   []int64
	ints     arena
}

// Begin prepares the cycle for a pod. The status, when there is one, keeps the pod off every node.
func (c *Cycle) Begin(s *snapshot.Snapshot, p *snapshot.Pod) *Status {
	c.S, c.Pod, c.Want = s, p, s.Wants(p)
	return c.Again()
}

// Again prepares the cycle for the same pod after the snapshot changed.
func (c *Cycle) Again() *Status {
	c.filters, c.crossNode, c.Named = c.filters[:0], false, false
	c.ints.reset()
	for i := range Table {
		pl := &Table[i]
		if pl.PreFilter != nil {
			active, st := pl.PreFilter(c)
			if st != nil {
				return st
			}
			if !active {
				continue
			}
		}
		if pl.Filter != nil {
			c.filters = append(c.filters, Index(i))
			c.crossNode = c.crossNode || pl.CrossNode
		}
	}
	return nil
}

// CrossNode tells whether what runs on one node decides about others in this cycle.
func (c *Cycle) CrossNode() bool { return c.crossNode }

// Filter tells why the pod cannot run on the node; nil: it can.
func (c *Cycle) Filter(n *snapshot.Node) *Status {
	for _, i := range c.filters {
		if st := Table[i].Filter(c, n); st != nil {
			return st
		}
	}
	return nil
}

// OutOfNames is the status of nodes that Names leaves out.
func (c *Cycle) OutOfNames() *Status { return outOfNames }

var outOfNames = rejectForGood(NodeAffinity, "node(s) didn't satisfy plugin(s) [NodeAffinity]")

// Score adds up how good each node is; totals is as long as nodes.
func (c *Cycle) Score(nodes []*snapshot.Node, totals []int64) {
	clear(totals)
	if cap(c.scores) < len(nodes) {
		c.scores = make([]int64, len(nodes)+len(nodes)/4)
	}
	out := c.scores[:len(nodes)]
	for i := range Table {
		pl := &Table[i]
		if pl.Score == nil || !pl.Score(c, nodes, out) {
			continue
		}
		for j, v := range out {
			totals[j] += v * pl.Weight
		}
	}
}

// scaleToMax brings scores of at least 0 to the range up to MaxScore; reverse makes the
// lowest the best. It returns false when all are equal to it.
func scaleToMax(out []int64, reverse bool) bool {
	var top int64
	for _, v := range out {
		top = max(top, v)
	}
	if top == 0 {
		return false
	}
	for i, v := range out {
		v = MaxScore * v / top
		if reverse {
			v = MaxScore - v
		}
		out[i] = v
	}
	return true
}

// arena hands out zeroed slices that live until reset.
type arena struct {
	buf  []int32
	used int
}

func (a *arena) reset() { a.used = 0 }

func (a *arena) take(n int) []int32 {
	if a.used+n > len(a.buf) {
		// Slices handed out before keep the old buffer.
		a.buf, a.used = make([]int32, 2*len(a.buf)+n+1024), 0
	}
	s := a.buf[a.used : a.used+n : a.used+n]
	a.used += n
	clear(s)
	return s
}
