package scheduler

import (
	"math/rand/v2"

	"github.com/skiff-k8s/skiff/internal/scheduler/plugins"
	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

// Core decides. It owns its snapshot; what it decides follows from that, from the pods it
// was asked about before (searches start where the last one ended), and from the seed.
type Core struct {
	Snapshot *snapshot.Snapshot
	rand     *rand.Rand
	next     int // where in the order of nodes the next search starts
	cycle    plugins.Cycle

	feasible []*snapshot.Node
	totals   []int64
	statuses []*plugins.Status // by slot; nil: not looked at, or fits
	counts   map[*plugins.Status]int
}

// NewCore returns a core with an empty snapshot.
func NewCore(seed uint64) *Core {
	return &Core{
		Snapshot: snapshot.New(), rand: rand.New(rand.NewPCG(seed, 0)),
		counts: map[*plugins.Status]int{},
	}
}

// Decision is where a pod goes.
type Decision struct {
	Node      *snapshot.Node
	Evaluated int // nodes looked at
	Feasible  int // of these, nodes that the pod can run on
}

// Of big clusters only a part is searched for nodes that fit: enough to choose
// well from, and the search starts elsewhere each time.
const (
	searchAll     = 100 // nodes below which all are looked at
	searchPercent = 50
	searchDivisor = 125
	searchLeast   = 5 // percent
)

// enough is how many fitting nodes among n end the search.
func enough(n int) int {
	if n < searchAll {
		return n
	}
	percent := max(searchPercent-n/searchDivisor, searchLeast)
	return max(n*percent/100, searchAll)
}

// Schedule decides on a node for the pod, or says why there is none.
func (c *Core) Schedule(p *snapshot.Pod) (Decision, *FitError) {
	s := c.Snapshot
	s.Tick()
	c.clearStatuses()
	if s.Len() == 0 {
		return Decision{}, &FitError{NoNodes: true}
	}
	if st := c.cycle.Begin(s, p); st != nil {
		return Decision{}, &FitError{Nodes: s.Len(), PreFilter: st, By: 1 << st.Plugin}
	}
	if n := c.nominee(p); n != nil && c.filter(n, p) == nil {
		return Decision{Node: n, Evaluated: 1, Feasible: 1}, nil
	}
	evaluated := c.search(p)
	switch len(c.feasible) {
	case 0:
		return Decision{}, c.fitError()
	case 1:
		return Decision{Node: c.feasible[0], Evaluated: evaluated, Feasible: 1}, nil
	}
	if cap(c.totals) < len(c.feasible) {
		c.totals = make([]int64, s.Len())
	}
	totals := c.totals[:len(c.feasible)]
	c.cycle.Score(c.feasible, totals)
	return Decision{Node: c.best(totals), Evaluated: evaluated, Feasible: len(c.feasible)}, nil
}

// nominee is the node that was made free for the pod.
func (c *Core) nominee(p *snapshot.Pod) *snapshot.Node {
	name := p.NominatedNode()
	if name == "" || c.cycle.Named {
		return nil
	}
	return c.Snapshot.Node(name)
}

// search fills feasible and statuses and returns how many nodes it looked at.
func (c *Core) search(p *snapshot.Pod) int {
	s := c.Snapshot
	c.feasible = c.feasible[:0]
	if c.cycle.Named {
		for _, name := range c.cycle.Names {
			if n := s.Node(name); n != nil {
				c.look(n, p)
			}
		}
		return len(c.cycle.Names)
	}
	nodes := s.Nodes()
	stop := enough(len(nodes))
	if c.next >= len(nodes) {
		c.next = 0
	}
	i, looked := c.next, 0
	for looked < len(nodes) && len(c.feasible) < stop {
		c.look(nodes[i], p)
		looked++
		if i++; i == len(nodes) {
			i = 0
		}
	}
	c.next = i
	return looked
}

func (c *Core) look(n *snapshot.Node, p *snapshot.Pod) {
	if st := c.filter(n, p); st != nil {
		c.statuses[n.Slot] = st
		return
	}
	c.feasible = append(c.feasible, n)
}

// filter runs the filters on a node. Pods of at least the same priority that the node was
// made free for count as being there; and as they may never come, the pod must fit without them too.
func (c *Core) filter(n *snapshot.Node, p *snapshot.Pod) *plugins.Status {
	waiting := c.Snapshot.Nominated(n.Name)
	if len(waiting) == 0 {
		return c.cycle.Filter(n)
	}
	added := make([]*snapshot.Pod, 0, len(waiting))
	cross := c.cycle.CrossNode()
	for _, o := range waiting {
		if o.Obj.UID != p.Obj.UID && o.Priority >= p.Priority && o.Node == nil {
			added = append(added, o)
			cross = cross || o.Obj.Spec.Affinity != nil
		}
	}
	if len(added) > 0 {
		for _, o := range added {
			c.Snapshot.Drop(o, n)
		}
		st := c.refilter(n, cross)
		for _, o := range added {
			c.Snapshot.Lift(o)
		}
		if cross {
			c.cycle.Again()
		}
		if st != nil {
			return st
		}
	}
	return c.cycle.Filter(n)
}

// refilter filters after the snapshot changed on the node; cross tells that the pods there matter elsewhere.
func (c *Core) refilter(n *snapshot.Node, cross bool) *plugins.Status {
	if cross {
		if st := c.cycle.Again(); st != nil {
			return st
		}
	}
	return c.cycle.Filter(n)
}

// best picks one of the nodes with the highest total, each with the same chance.
func (c *Core) best(totals []int64) *snapshot.Node {
	pick, top, ties := 0, totals[0], 1
	for i := 1; i < len(totals); i++ {
		switch {
		case totals[i] > top:
			pick, top, ties = i, totals[i], 1
		case totals[i] == top:
			ties++
			if c.rand.IntN(ties) == 0 {
				pick = i
			}
		}
	}
	return c.feasible[pick]
}

func (c *Core) clearStatuses() {
	n := c.Snapshot.Slots()
	if cap(c.statuses) < n {
		c.statuses = make([]*plugins.Status, n+n/8)
	}
	c.statuses = c.statuses[:n]
	clear(c.statuses)
}

// fitError sums up the statuses of the search. Nodes that it did not look at were left out by name.
func (c *Core) fitError() *FitError {
	fe := &FitError{Nodes: c.Snapshot.Len(), Reasons: map[string]int{}}
	clear(c.counts)
	for _, n := range c.Snapshot.Nodes() {
		st := c.statuses[n.Slot]
		if st == nil {
			st = c.cycle.OutOfNames()
			c.statuses[n.Slot] = st
		}
		c.counts[st]++
	}
	for st, k := range c.counts {
		fe.By |= 1 << st.Plugin
		for _, r := range st.Reasons {
			fe.Reasons[r] += k
		}
	}
	return fe
}
