package scheduler

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/scheduler/plugins"
	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

// Preemption is how room is made for a pod that fits nowhere.
type Preemption struct {
	Node    string
	Victims []*snapshot.Pod
	// Keep: the pod waits for room being made already.
	Keep bool
	// Message tells people why no room is made; empty when it is.
	Message string
}

// budget is a disruption budget as preemption looks at it.
type budget struct {
	namespace string
	selector  labels.Selector
	allowed   int32
	disrupted map[string]metav1.Time
}

const (
	notHelpful = "Preemption is not helpful for scheduling"
	noVictims  = "No preemption victims found for incoming pod"
)

// candidate is a node where removing the victims makes the pod fit.
type candidate struct {
	node       *snapshot.Node
	victims    []*snapshot.Pod // the most important first
	violations int             // of disruption budgets
}

// Preempt decides on pods of lower priority to remove so that p fits, after Schedule said
// that it does not. going are pods whose removal is under way.
func (c *Core) Preempt(p *snapshot.Pod, fe *FitError, budgets []*budget, going map[types.UID]bool) Preemption {
	if m := p.Obj.Spec.PreemptionPolicy; m != nil && *m == corev1.PreemptNever {
		return Preemption{Message: "preemption: not eligible due to preemptionPolicy=Never."}
	}
	if c.awaits(p, going) {
		return Preemption{Keep: true, Message: "preemption: not eligible due to a terminating pod on the nominated node."}
	}
	s := c.Snapshot
	reasons := map[string]int{}
	var hopeful []*snapshot.Node
	for _, n := range s.Nodes() {
		if fe.PreFilter != nil || c.statuses[n.Slot] == nil || c.statuses[n.Slot].Unresolvable {
			reasons[notHelpful]++
		} else {
			hopeful = append(hopeful, n)
		}
	}
	if !s.HasLower(p.Priority) {
		if len(hopeful) > 0 {
			reasons[noVictims] = len(hopeful)
		}
		hopeful = nil
	}
	found, failed := c.candidates(p, hopeful, budgets)
	if len(found) > 0 {
		best := pickCandidate(found)
		return Preemption{Node: best.node.Name, Victims: best.victims}
	}
	for r, k := range failed {
		reasons[r] += k
	}
	return Preemption{Message: fmt.Sprintf("preemption: 0/%d nodes are available: %s.", s.Len(), histogram(reasons))}
}

// awaits tells whether pods that make room for p on its nominated node are still going.
func (c *Core) awaits(p *snapshot.Pod, going map[types.UID]bool) bool {
	n := c.Snapshot.Node(p.NominatedNode())
	if n == nil {
		return false
	}
	// The node may have become impossible meanwhile; then nothing is worth waiting for.
	if st := c.statuses[n.Slot]; st != nil && st.Unresolvable {
		return false
	}
	for _, o := range n.Pods {
		if o.Priority < p.Priority && (going[o.Obj.UID] || o.Terminating && preempted(o.Obj)) {
			return true
		}
	}
	return false
}

func preempted(o *corev1.Pod) bool {
	for i := range o.Status.Conditions {
		if c := &o.Status.Conditions[i]; c.Type == corev1.DisruptionTarget {
			return c.Status == corev1.ConditionTrue && c.Reason == corev1.PodReasonPreemptionByScheduler
		}
	}
	return false
}

// Of many nodes only some are tried, beginning anywhere.
const (
	tryPercent = 10
	tryLeast   = 100
)

func (c *Core) candidates(p *snapshot.Pod, nodes []*snapshot.Node, budgets []*budget) ([]candidate, map[string]int) {
	failed := map[string]int{}
	if len(nodes) == 0 {
		return nil, failed
	}
	want := min(max(len(nodes)*tryPercent/100, tryLeast), len(nodes))
	start := c.rand.IntN(len(nodes))
	var found []candidate
	clean := false
	for i := range nodes {
		cand, st := c.tryNode(p, nodes[(start+i)%len(nodes)], budgets)
		if st != nil {
			for _, r := range st.Reasons {
				failed[r]++
			}
			continue
		}
		found = append(found, cand)
		clean = clean || cand.violations == 0
		if len(found) >= want && clean {
			break
		}
	}
	// What was tried left notes of other states of the snapshot.
	c.cycle.Again()
	return found, failed
}

var statusNoVictims = &plugins.Status{Reasons: []string{noVictims}, Unresolvable: true}

// tryNode finds the least important pods whose removal from the node makes p fit. The
// snapshot is changed on the way and is as before in the end.
func (c *Core) tryNode(p *snapshot.Pod, n *snapshot.Node, budgets []*budget) (candidate, *plugins.Status) {
	s := c.Snapshot
	var lower []*snapshot.Pod
	for _, o := range n.Pods {
		if o.Priority < p.Priority {
			lower = append(lower, o)
		}
	}
	if len(lower) == 0 {
		return candidate{}, statusNoVictims
	}
	slices.SortFunc(lower, byImportance)
	gone := map[*snapshot.Pod]bool{}
	for _, o := range lower {
		s.Lift(o)
		gone[o] = true
	}
	defer func() {
		for _, o := range lower {
			if gone[o] {
				s.Drop(o, n)
			}
		}
	}()
	// Again is needed even without constraints of p's own: pods here may have some against it.
	fits := func() *plugins.Status {
		if st := c.cycle.Again(); st != nil {
			return st
		}
		return c.filter(n, p)
	}
	if st := fits(); st != nil {
		return candidate{}, st
	}
	cand := candidate{node: n}
	violating, others := splitByBudget(lower, budgets)
	for i, list := range [][]*snapshot.Pod{violating, others} {
		for _, o := range list {
			s.Drop(o, n)
			if fits() == nil {
				delete(gone, o)
				continue
			}
			s.Lift(o)
			cand.victims = append(cand.victims, o)
			if i == 0 {
				cand.violations++
			}
		}
	}
	slices.SortFunc(cand.victims, byImportance)
	return cand, nil
}

// byImportance sorts by priority, then by age.
func byImportance(a, b *snapshot.Pod) int {
	if c := cmp.Compare(b.Priority, a.Priority); c != 0 {
		return c
	}
	if c := startOf(a).Compare(startOf(b)); c != 0 {
		return c
	}
	return cmp.Compare(a.Obj.UID, b.Obj.UID)
}

var farFuture = time.Unix(math.MaxInt32, 0)

// startOf is when the pod began; one that has not yet is the youngest.
func startOf(p *snapshot.Pod) time.Time {
	if t := p.Obj.Status.StartTime; t != nil {
		return t.Time
	}
	return farFuture
}

// splitByBudget tells the pods whose removal breaks a disruption budget from the others.
func splitByBudget(pods []*snapshot.Pod, budgets []*budget) (violating, others []*snapshot.Pod) {
	left := make([]int32, len(budgets))
	for i, b := range budgets {
		left[i] = b.allowed
	}
	for _, p := range pods {
		breaks := false
		for i, b := range budgets {
			if len(p.Obj.Labels) == 0 || b.namespace != p.Obj.Namespace || b.selector.Empty() || !b.selector.Matches(p.Labels.Set) {
				continue
			}
			if _, counted := b.disrupted[p.Obj.Name]; counted {
				continue
			}
			left[i]--
			breaks = breaks || left[i] < 0
		}
		if breaks {
			violating = append(violating, p)
		} else {
			others = append(others, p)
		}
	}
	return violating, others
}

// pickCandidate prefers, in this order: fewer broken budgets, a less important most
// important victim, a smaller sum of priorities, fewer victims, younger most important victims.
func pickCandidate(cands []candidate) candidate {
	return slices.MinFunc(cands, func(a, b candidate) int {
		if len(a.victims) == 0 || len(b.victims) == 0 {
			return cmp.Compare(len(a.victims), len(b.victims))
		}
		return cmp.Or(
			cmp.Compare(a.violations, b.violations),
			cmp.Compare(a.victims[0].Priority, b.victims[0].Priority),
			cmp.Compare(weightOf(a.victims), weightOf(b.victims)),
			cmp.Compare(len(a.victims), len(b.victims)),
			startOf(b.victims[0]).Compare(startOf(a.victims[0])),
		)
	})
}

// weightOf sums priorities, moved so that none is below zero: more victims weigh more.
func weightOf(victims []*snapshot.Pod) (sum int64) {
	for _, v := range victims {
		sum += int64(v.Priority) + math.MaxInt32 + 1
	}
	return sum
}

func (s *Scheduler) setBudget(o *policyv1.PodDisruptionBudget) {
	// compat: a budget whose selector cannot be parsed protects nothing.
	sel, err := metav1.LabelSelectorAsSelector(o.Spec.Selector)
	if err != nil {
		sel = labels.Nothing()
	}
	s.pdbs[string(o.UID)] = &budget{o.Namespace, sel, o.Status.DisruptionsAllowed, o.Status.DisruptedPods}
}

func (s *Scheduler) budgets() []*budget {
	out := make([]*budget, 0, len(s.pdbs))
	for _, b := range s.pdbs {
		out = append(out, b)
	}
	return out
}
