package plugins

import (
	"math"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

var (
	errSpread      = reject(PodTopologySpread, "node(s) didn't match pod topology spread constraints")
	errSpreadLabel = rejectForGood(PodTopologySpread, "node(s) didn't match pod topology spread constraints (missing required label)")
)

// spreadNotes is, per hard constraint, how many matching pods each domain has.
type spreadNotes struct{ hard []spreadCount }

type spreadCount struct {
	con    *snapshot.Spread
	topo   *snapshot.Topology
	counts []int32 // by domain; below 0: no node of it counts
	least  int32
}

func preFilterSpread(c *Cycle) (bool, *Status) {
	cons := c.Want.Hard
	if len(cons) == 0 {
		return false, nil
	}
	c.spread.hard = c.countSpread(c.spread.hard[:0], cons, true, nil)
	for i := range c.spread.hard {
		sc := &c.spread.hard[i]
		least, domains := int32(math.MaxInt32), int32(0)
		for _, v := range sc.counts {
			if v >= 0 {
				domains++
				least = min(least, v)
			}
		}
		if domains < sc.con.MinDomains {
			least = 0
		}
		sc.least = least
	}
	return true, nil
}

// countSpread counts the matching pods per domain over the nodes that take part in the constraints.
// only, when not nil, tells per constraint which domains are of interest.
func (c *Cycle) countSpread(to []spreadCount, cons []snapshot.Spread, allKeys bool, only [][]bool) []spreadCount {
	for i := range cons {
		topo := c.S.Topology(cons[i].Topology)
		counts := c.ints.take(topo.Domains)
		for d := range counts {
			counts[d] = -1
		}
		to = append(to, spreadCount{con: &cons[i], topo: topo, counts: counts})
	}
	for i := range to {
		sc := &to[i]
		if only != nil && sc.con.Topology == corev1.LabelHostname {
			continue // a node is a domain: its own count says it
		}
		per := c.S.Group(&sc.con.Group).PerNode
		easy := !(sc.con.HonorAffinity && c.Want.Select != nil) && !sc.con.HonorTaints && (!allKeys || len(to) == 1)
		for _, n := range c.S.Nodes() {
			d := sc.topo.Domain[n.Slot]
			if d < 0 || only != nil && !only[i][d] || !easy && !c.takesPart(sc.con, to, allKeys, n) {
				continue
			}
			sc.counts[d] = max(sc.counts[d], 0) + per[n.Slot]
		}
	}
	return to
}

// takesPart tells whether the pods of a node count for the constraint.
func (c *Cycle) takesPart(con *snapshot.Spread, all []spreadCount, allKeys bool, n *snapshot.Node) bool {
	if allKeys && !hasAll(all, n.Slot) {
		return false
	}
	if con.HonorAffinity && c.Want.Select != nil && !c.Want.Select.Match(n) {
		return false
	}
	t := c.Want.Tolerations
	return !con.HonorTaints || !t.Blocked(n.Taints) && (!n.Unschedulable || t.Cordon())
}

func hasAll(cs []spreadCount, slot int32) bool {
	for i := range cs {
		if cs[i].topo.Domain[slot] < 0 {
			return false
		}
	}
	return true
}

func filterSpread(c *Cycle, n *snapshot.Node) *Status {
	for i := range c.spread.hard {
		sc := &c.spread.hard[i]
		d := sc.topo.Domain[n.Slot]
		if d < 0 {
			return errSpreadLabel
		}
		skew := max(sc.counts[d], 0) - sc.least
		if sc.con.Self {
			skew++
		}
		if sc.least == math.MaxInt32 {
			skew = 0 // no node counts at all
		}
		if skew > sc.con.MaxSkew {
			return errSpread
		}
	}
	return nil
}

// scoreSpread likes nodes in domains with fewer matching pods.
func scoreSpread(c *Cycle, nodes []*snapshot.Node, out []int64) bool {
	cons := c.Want.Soft
	if len(cons) == 0 {
		return false
	}
	// The pod's own constraints leave out nodes that lack one of the labels; the
	// defaults take what there is.
	allKeys := !c.Want.Defaulted
	var topoFew [4]*snapshot.Topology
	topos := topoFew[:0]
	for i := range cons {
		topos = append(topos, c.S.Topology(cons[i].Topology))
	}
	only := make([][]bool, len(cons))
	sizes := make([]int, len(cons))
	for i, t := range topos {
		only[i] = make([]bool, t.Domains)
	}
	const ignored = -1
	left := 0
	for j, n := range nodes {
		out[j] = 0
		if allKeys {
			for _, t := range topos {
				if t.Domain[n.Slot] < 0 {
					out[j] = ignored
				}
			}
			if out[j] == ignored {
				left++
				continue
			}
		}
		for i, t := range topos {
			if d := t.Domain[n.Slot]; d >= 0 && !only[i][d] {
				only[i][d] = true
				sizes[i]++
			}
		}
	}
	weights := make([]float64, len(cons))
	for i := range cons {
		if cons[i].Topology == corev1.LabelHostname {
			sizes[i] = len(nodes) - left
		}
		weights[i] = math.Log(float64(sizes[i] + 2))
	}
	counts := c.countSpread(nil, cons, allKeys, only)
	for j, n := range nodes {
		if out[j] == ignored {
			continue
		}
		var score float64
		for i := range counts {
			sc := &counts[i]
			d := sc.topo.Domain[n.Slot]
			if d < 0 {
				continue
			}
			k := max(sc.counts[d], 0)
			if sc.con.Topology == corev1.LabelHostname {
				k = c.S.Group(&sc.con.Group).PerNode[n.Slot]
			}
			score += float64(k)*weights[i] + float64(sc.con.MaxSkew-1)
		}
		out[j] = int64(math.Round(score))
	}
	return invertSpread(out, ignored)
}

func invertSpread(out []int64, ignored int64) bool {
	low, high := int64(math.MaxInt64), int64(0)
	for _, v := range out {
		if v != ignored {
			low, high = min(low, v), max(high, v)
		}
	}
	for j, v := range out {
		switch {
		case v == ignored:
			out[j] = 0
		case high == 0:
			out[j] = MaxScore
		default:
			out[j] = MaxScore * (high + low - v) / high
		}
	}
	return true
}

func wakeSpread(s *snapshot.Snapshot, p *snapshot.Pod, ch *Change) bool {
	w := s.Wants(p)
	switch ch.Kind {
	case NodeChanged:
		if ch.Parts&(snapshot.NodeAdded|snapshot.NodeLabels|snapshot.NodeTaints) == 0 {
			return false
		}
		return true // a domain more or less moves the minimum
	case PodGone, PodThere, PodRelabelled:
		for i := range w.Hard {
			if ch.Kind == PodRelabelled || w.Hard[i].Group.Selects(s, ch.Pod.Labels) {
				return true
			}
		}
	}
	return false
}
