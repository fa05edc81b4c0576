package plugins

import (
	"math"

	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

var (
	errAffinity = rejectForGood(InterPodAffinity, "node(s) didn't match pod affinity rules")
	errAnti     = reject(InterPodAffinity, "node(s) didn't match pod anti-affinity rules")
	errOthers   = reject(InterPodAffinity, "node(s) didn't satisfy existing pods anti-affinity rules")
)

// hardAffinityWeight is what another pod's required affinity to this pod counts as a preference.
const hardAffinityWeight = 1

// interPodNotes is, per term, how many pods of interest each domain has.
type interPodNotes struct {
	affinity, anti, others []domainCount
	// alone: no pod anywhere satisfies the pod's affinity, but the pod itself
	// would: the first of a group may go anywhere.
	alone bool
	prefs []domainScore
}

type domainCount struct {
	topo   *snapshot.Topology
	counts []int32
}

func preFilterInterPod(c *Cycle) (bool, *Status) {
	n := &c.interPod
	n.affinity, n.anti, n.others, n.alone = n.affinity[:0], n.anti[:0], n.others[:0], false
	w := c.Want
	for _, h := range c.Pod.Labels.Holders() {
		if h.Kind == snapshot.RequiredAnti && h.Total > 0 {
			dc, _ := c.countDomains(h.Topology, h.PerNode)
			n.others = append(n.others, dc)
		}
	}
	if len(w.Affinity) > 0 {
		per := c.S.Group(&w.AffinityGroup).PerNode
		found := false
		for _, key := range w.Affinity {
			dc, any := c.countDomains(key, per)
			n.affinity = append(n.affinity, dc)
			found = found || any
		}
		n.alone = !found && w.AffinityGroup.Selects(c.S, c.Pod.Labels)
	}
	for i := range w.Anti {
		dc, any := c.countDomains(w.Anti[i].Topology, c.S.Group(&w.Anti[i].Group).PerNode)
		if any {
			n.anti = append(n.anti, dc)
		}
	}
	return len(n.affinity)+len(n.anti)+len(n.others) > 0, nil
}

// countDomains adds up per domain; any tells that a domain has a pod.
func (c *Cycle) countDomains(key string, per []int32) (dc domainCount, any bool) {
	topo := c.S.Topology(key)
	dc = domainCount{topo, c.ints.take(topo.Domains)}
	for slot, k := range per {
		if k == 0 {
			continue
		}
		if d := topo.Domain[slot]; d >= 0 {
			dc.counts[d] += k
			any = true
		}
	}
	return dc, any
}

func filterInterPod(c *Cycle, n *snapshot.Node) *Status {
	notes := &c.interPod
	for i := range notes.affinity {
		a := &notes.affinity[i]
		d := a.topo.Domain[n.Slot]
		if d < 0 || a.counts[d] == 0 && !notes.alone {
			return errAffinity
		}
	}
	for i := range notes.anti {
		a := &notes.anti[i]
		if d := a.topo.Domain[n.Slot]; d >= 0 && a.counts[d] > 0 {
			return errAnti
		}
	}
	for i := range notes.others {
		a := &notes.others[i]
		if d := a.topo.Domain[n.Slot]; d >= 0 && a.counts[d] > 0 {
			return errOthers
		}
	}
	return nil
}

// domainScore is a preference per domain.
type domainScore struct {
	topo  *snapshot.Topology
	score []int64
}

// scoreInterPod likes nodes in domains with pods that this pod prefers or that prefer it.
func scoreInterPod(c *Cycle, nodes []*snapshot.Node, out []int64) bool {
	prefs := c.interPod.prefs[:0]
	for i := range c.Want.Preferred {
		t := &c.Want.Preferred[i]
		prefs = c.prefer(prefs, t.Topology, c.S.Group(&t.Group).PerNode, t.Weight)
	}
	for _, h := range c.Pod.Labels.Holders() {
		if h.Total == 0 {
			continue
		}
		switch h.Kind {
		case snapshot.RequiredAffinity:
			prefs = c.prefer(prefs, h.Topology, h.PerNode, hardAffinityWeight)
		case snapshot.PreferAffinity:
			prefs = c.prefer(prefs, h.Topology, h.PerNode, h.Weight)
		case snapshot.PreferAnti:
			prefs = c.prefer(prefs, h.Topology, h.PerNode, -h.Weight)
		}
	}
	c.interPod.prefs = prefs
	if len(prefs) == 0 {
		return false
	}
	low, high := int64(math.MaxInt64), int64(math.MinInt64)
	for j, n := range nodes {
		var v int64
		for i := range prefs {
			if d := prefs[i].topo.Domain[n.Slot]; d >= 0 {
				v += prefs[i].score[d]
			}
		}
		out[j] = v
		low, high = min(low, v), max(high, v)
	}
	if low == high {
		return false
	}
	for j, v := range out {
		out[j] = int64(float64(MaxScore) * (float64(v-low) / float64(high-low)))
	}
	return true
}

func (c *Cycle) prefer(prefs []domainScore, key string, per []int32, weight int64) []domainScore {
	topo := c.S.Topology(key)
	var to *domainScore
	for i := range prefs {
		if prefs[i].topo == topo {
			to = &prefs[i]
		}
	}
	if to == nil {
		prefs = append(prefs, domainScore{topo, make([]int64, topo.Domains)})
		to = &prefs[len(prefs)-1]
	}
	for slot, k := range per {
		if k == 0 {
			continue
		}
		if d := topo.Domain[slot]; d >= 0 {
			to.score[d] += int64(k) * weight
		}
	}
	return prefs
}

func wakeInterPod(s *snapshot.Snapshot, p *snapshot.Pod, ch *Change) bool {
	w := s.Wants(p)
	switch ch.Kind {
	case NodeChanged:
		return ch.Parts&(snapshot.NodeAdded|snapshot.NodeLabels) != 0
	case PodThere:
		return len(w.Affinity) > 0 && w.AffinityGroup.Selects(s, ch.Pod.Labels)
	case PodGone:
		// Without it the pod may be the first of its group.
		if len(w.Affinity) > 0 && w.AffinityGroup.Selects(s, ch.Pod.Labels) {
			return true
		}
		// It may have kept this pod away, by this pod's terms or by its own.
		for i := range w.Anti {
			if w.Anti[i].Group.Selects(s, ch.Pod.Labels) {
				return true
			}
		}
		a := ch.Pod.Obj.Spec.Affinity
		return a != nil && a.PodAntiAffinity != nil && len(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0
	case PodRelabelled, Relabelled:
		return true
	}
	return false
}
