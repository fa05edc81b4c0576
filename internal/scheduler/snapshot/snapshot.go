// Package snapshot is the scheduler's view of the cluster: nodes with what is
// left on them, and counts of pods by what selects them.
//
// Inputs are objects as watches deliver them (SetNode, Compile, Assign, Remove,
// …); readers are the plugins. Everything that a decision needs is kept up to date with
// each change, so that a cycle copies nothing and looks at no pod but its own: a group
// (group.go) knows how many pods that a selector matches are on each node, a
// holder how many pods that carry an affinity term.
//
// Invariants:
//   - one goroutine owns a snapshot; there are no locks and no copies;
//   - a node has a slot, and every per-node slice (Group.PerNode, …) is indexed by it
//     and at least Slots() long;
//   - for every group and slot, PerNode is the number of assigned pods there that match.
//
// Read this file, then pod.go, then group.go.
package snapshot

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Snapshot is the state of the cluster as far as scheduling goes.
type Snapshot struct {
	nodes  map[string]*Node
	slots  []*Node // nil: free
	free   []int32
	order  []*Node // zones in turn; nil: to be made
	pods   map[types.UID]*Pod
	orphan map[string]map[*Pod]struct{} // pods by the name of a node that is not known

	scalars   []string // names of the resources beyond the usual ones
	scalarIDs map[string]int32

	topologies map[string]*Topology
	labelSets  map[string]*LabelSet
	spaces     map[string]*space
	wide       space // groups and holders that look at several namespaces
	namespaces map[string]map[string]string
	groups     map[string]*Group
	holders    map[string]*Holder
	tick       uint64 // counts cycles, for dropping unused groups

	taintSets   map[string]*TaintSet
	tolerations map[string]*Tolerations
	selects     map[string]*NodeSelect
	prefers     map[string]*NodePrefer
	images      map[string]*Image

	nominated  map[string][]*Pod
	priorities map[int32]int // assigned pods

	selectors selectorSources
	forgot    uint64 // counts how often the answers about nodes were dropped
	Volumes   Volumes

	keyBuf []byte
}

// New returns an empty snapshot.
func New() *Snapshot {
	return &Snapshot{
		nodes: map[string]*Node{}, pods: map[types.UID]*Pod{}, orphan: map[string]map[*Pod]struct{}{},
		scalarIDs: map[string]int32{}, topologies: map[string]*Topology{},
		labelSets: map[string]*LabelSet{}, spaces: map[string]*space{}, namespaces: map[string]map[string]string{},
		groups: map[string]*Group{}, holders: map[string]*Holder{},
		taintSets: map[string]*TaintSet{}, tolerations: map[string]*Tolerations{},
		selects: map[string]*NodeSelect{}, prefers: map[string]*NodePrefer{}, images: map[string]*Image{},
		nominated: map[string][]*Pod{}, priorities: map[int32]int{}, selectors: newSelectorSources(), Volumes: newVolumes(),
	}
}

// Slots is the length that per-node slices need.
func (s *Snapshot) Slots() int { return len(s.slots) }

// Len is the number of nodes.
func (s *Snapshot) Len() int { return len(s.nodes) }

// Node finds a node by name; nil when there is none.
func (s *Snapshot) Node(name string) *Node { return s.nodes[name] }

// Nodes returns the nodes with zones in turn, so that a search that stops early
// has seen all zones alike. The slice is shared: do not change it.
func (s *Snapshot) Nodes() []*Node {
	if s.order != nil {
		return s.order
	}
	zones := map[string][]*Node{}
	var names []string
	for _, n := range s.slots {
		if n == nil {
			continue
		}
		if zones[n.zone] == nil {
			names = append(names, n.zone)
		}
		zones[n.zone] = append(zones[n.zone], n)
	}
	slices.Sort(names)
	s.order = make([]*Node, 0, len(s.nodes))
	for i := 0; len(s.order) < len(s.nodes); i++ {
		for _, z := range names {
			if i < len(zones[z]) {
				s.order = append(s.order, zones[z][i])
			}
		}
	}
	return s.order
}

// Tick tells that a cycle begins; from time to time it drops what no cycle used for long.
func (s *Snapshot) Tick() {
	s.tick++
	if s.tick%sweepEvery == 0 {
		s.sweep()
	}
}

// Pod finds an assigned pod; nil when it is not on any node.
func (s *Snapshot) Pod(uid types.UID) *Pod { return s.pods[uid] }

// Assigned is the number of pods that are on nodes.
func (s *Snapshot) Assigned() int { return len(s.pods) }

// HasLower tells whether any assigned pod has a lower priority.
func (s *Snapshot) HasLower(priority int32) bool {
	for p := range s.priorities {
		if p < priority {
			return true
		}
	}
	return false
}

// Nominate notes that a pending pod waits for room on a node.
func (s *Snapshot) Nominate(p *Pod, node string) {
	s.Unnominate(p)
	if node == "" {
		return
	}
	p.nominated = node
	s.nominated[node] = append(s.nominated[node], p)
}

// Unnominate forgets it.
func (s *Snapshot) Unnominate(p *Pod) {
	if p.nominated == "" {
		return
	}
	rest := slices.DeleteFunc(s.nominated[p.nominated], func(o *Pod) bool { return o == p })
	if len(rest) == 0 {
		delete(s.nominated, p.nominated)
	} else {
		s.nominated[p.nominated] = rest
	}
	p.nominated = ""
}

// Nominated returns the pods that wait for room on the node.
func (s *Snapshot) Nominated(node string) []*Pod {
	if len(s.nominated) == 0 {
		return nil
	}
	return s.nominated[node]
}

// zoneOf names a node's zone for the order of nodes.
func zoneOf(n *corev1.Node) string {
	l := n.Labels
	region, zone := l[corev1.LabelTopologyRegion], l[corev1.LabelTopologyZone]
	if region == "" && zone == "" {
		return ""
	}
	return region + ":\x00:" + zone
}
