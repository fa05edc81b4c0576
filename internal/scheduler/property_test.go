package scheduler

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

// TestProperties changes a cluster at random, schedules into it, and after every
// step counts anew what the snapshot keeps up to date.
func TestProperties(t *testing.T) {
	base := firstSeed(t)
	for i := range uint64(40) {
		seed := base + i
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { newWorld(t, seed).live(250) }) {
			t.Fatalf("failing seed: SKIFF_SEED=%d", seed)
		}
	}
}

// firstSeed is the first of the seeds of a test: always the same, unless SKIFF_SEED says another
// (or "random"), to look for what no seed so far has found.
func firstSeed(t *testing.T) uint64 {
	t.Helper()
	switch v := os.Getenv("SKIFF_SEED"); v {
	case "":
		return 1
	case "random":
		return rand.Uint64()
	default:
		seed, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return seed
	}
}

type world struct {
	t      *testing.T
	r      *rand.Rand
	c      *Core
	nodes  map[string]*corev1.Node
	pods   []*snapshot.Pod
	serial int
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{t: t, r: rand.New(rand.NewPCG(seed, 1)), c: clusterOf(seed, nil), nodes: map[string]*corev1.Node{}}
}

func (w *world) live(steps int) {
	for range 4 {
		w.setNode()
	}
	for range steps {
		switch k := w.r.IntN(20); {
		case k < 2:
			w.setNode()
		case k == 2 && len(w.nodes) > 2:
			name := w.c.Snapshot.Nodes()[w.r.IntN(len(w.nodes))].Name
			delete(w.nodes, name)
			w.c.Snapshot.RemoveNode(name)
		case k < 6 && len(w.pods) > 0:
			i := w.r.IntN(len(w.pods))
			w.c.Snapshot.Remove(w.pods[i])
			w.c.Snapshot.Release(w.pods[i])
			w.pods[i] = w.pods[len(w.pods)-1]
			w.pods = w.pods[:len(w.pods)-1]
		default:
			w.schedule()
		}
		w.check()
		if w.t.Failed() {
			return
		}
	}
}

func (w *world) setNode() {
	name := fmt.Sprintf("n%d", w.r.IntN(8))
	n := node(name, has("cpu", "4"), zone(fmt.Sprintf("z%d", w.r.IntN(3))))
	if w.r.IntN(6) == 0 {
		delete(n.Labels, corev1.LabelTopologyZone)
	}
	if w.r.IntN(5) == 0 {
		taint("k", "v", corev1.TaintEffectNoSchedule)(n)
	}
	w.nodes[name] = n
	w.c.Snapshot.SetNode(n)
}

func (w *world) randomPod() *corev1.Pod {
	w.serial++
	a := fmt.Sprintf("app-%d", w.r.IntN(3))
	p := pod(fmt.Sprintf("p%d", w.serial), label("app", a), ask(fmt.Sprintf("%dm", 100*w.r.IntN(12)), "64Mi"), priority(int32(w.r.IntN(4))))
	topo := []string{corev1.LabelHostname, corev1.LabelTopologyZone}[w.r.IntN(2)]
	other := fmt.Sprintf("app-%d", w.r.IntN(3))
	switch w.r.IntN(7) {
	case 0:
		anti(topo, other)(p)
	case 1:
		spread(topo, 1, corev1.DoNotSchedule, a)(p)
	case 2:
		near(topo, other)(p)
	case 3:
		port(int32(80 + w.r.IntN(2)))(p)
	case 4:
		preferNear(topo, other, 10)(p)
	}
	return p
}

func (w *world) schedule() {
	s := w.c.Snapshot
	p := s.Compile(w.randomPod())
	d, fe := w.c.Schedule(p)
	if fe == nil {
		if why := w.forbids(p, d.Node); why != "" {
			w.t.Errorf("%s to %s: %s", p.Obj.Name, d.Node.Name, why)
		}
		s.Assign(p, d.Node.Name)
		w.pods = append(w.pods, p)
		return
	}
	for _, n := range s.Nodes() {
		if !fe.NoNodes && w.forbids(p, n) == "" && len(p.Obj.Spec.TopologySpreadConstraints) == 0 {
			w.t.Errorf("%s fits on %s, but: %v", p.Obj.Name, n.Name, fe)
		}
	}
	before := w.state()
	pr := w.c.Preempt(p, fe, nil, nil)
	if after := w.state(); after != before {
		w.t.Errorf("preemption changed the snapshot:\n%s\n%s", before, after)
	}
	for _, v := range pr.Victims {
		if v.Priority >= p.Priority {
			w.t.Errorf("%s of priority %d would be removed for %s of %d", v.Obj.Name, v.Priority, p.Obj.Name, p.Priority)
		}
		s.Remove(v)
	}
	if len(pr.Victims) > 0 {
		if why := w.forbids(p, s.Node(pr.Node)); why != "" {
			w.t.Errorf("removing pods did not make room on %s: %s", pr.Node, why)
		}
		for _, v := range pr.Victims {
			s.Assign(v, pr.Node)
		}
	}
	s.Release(p)
}

// forbids says in the simplest way, from nothing but the objects, why the pod must not be on the node.
func (w *world) forbids(p *snapshot.Pod, n *snapshot.Node) string {
	nodes := w.nodes
	if len(nodes[n.Name].Spec.Taints) > 0 {
		return "taint"
	}
	var used int64
	together := func(key string, o *snapshot.Pod) bool {
		a, aok := nodes[n.Name].Labels[key]
		on := nodes[o.NodeName]
		if on == nil || !aok {
			return false
		}
		b, bok := on.Labels[key]
		return bok && a == b
	}
	selects := func(t corev1.PodAffinityTerm, o *corev1.Pod) bool {
		return t.LabelSelector.MatchLabels["app"] == o.Labels["app"]
	}
	for _, o := range w.pods {
		if o.NodeName == n.Name {
			used += o.Requests.CPU
			if clashing(p, o) {
				return "port of " + o.Obj.Name
			}
		}
		for _, t := range antiTerms(p.Obj) {
			if o.NodeName != "" && together(t.TopologyKey, o) && selects(t, o.Obj) {
				return "its anti-affinity to " + o.Obj.Name
			}
		}
		for _, t := range antiTerms(o.Obj) {
			if o.NodeName != "" && together(t.TopologyKey, o) && selects(t, p.Obj) {
				return "anti-affinity of " + o.Obj.Name
			}
		}
	}
	if p.Requests.CPU > 0 && used+p.Requests.CPU > 4000 {
		return "cpu"
	}
	if a := p.Obj.Spec.Affinity; a != nil && a.PodAffinity != nil {
		for _, t := range a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			if _, ok := nodes[n.Name].Labels[t.TopologyKey]; !ok {
				return "no label"
			}
			found, anywhere := false, false
			for _, o := range w.pods {
				if on := nodes[o.NodeName]; on != nil && selects(t, o.Obj) {
					_, labelled := on.Labels[t.TopologyKey]
					anywhere = anywhere || labelled
					found = found || together(t.TopologyKey, o)
				}
			}
			if !found && (anywhere || !selects(t, p.Obj)) {
				return "affinity"
			}
		}
	}
	return w.skewed(p, n)
}

func (w *world) skewed(p *snapshot.Pod, n *snapshot.Node) string {
	for _, c := range p.Obj.Spec.TopologySpreadConstraints {
		counts := map[string]int{}
		for _, o := range w.nodes {
			if v, ok := o.Labels[c.TopologyKey]; ok {
				counts[v] += 0
			}
		}
		for _, o := range w.pods {
			if on := w.nodes[o.NodeName]; on != nil && o.Obj.Labels["app"] == p.Obj.Labels["app"] {
				if v, ok := on.Labels[c.TopologyKey]; ok {
					counts[v]++
				}
			}
		}
		own, ok := w.nodes[n.Name].Labels[c.TopologyKey]
		if !ok {
			return "no label"
		}
		least := counts[own]
		for _, k := range counts {
			least = min(least, k)
		}
		if counts[own]+1-least > int(c.MaxSkew) {
			return "skew"
		}
	}
	return ""
}

func clashing(a, b *snapshot.Pod) bool {
	for _, x := range a.Ports {
		for _, y := range b.Ports {
			if x.Port == y.Port {
				return true
			}
		}
	}
	return false
}

func antiTerms(p *corev1.Pod) []corev1.PodAffinityTerm {
	if a := p.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		return a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	return nil
}

// check counts anew.
func (w *world) check() {
	cpu, pods := map[string]int64{}, map[string]int{}
	uids := map[types.UID]bool{}
	for _, p := range w.pods {
		cpu[p.NodeName] += p.Requests.CPU
		pods[p.NodeName]++
		uids[p.Obj.UID] = true
	}
	for _, n := range w.c.Snapshot.Nodes() {
		if n.Used.CPU != cpu[n.Name] || len(n.Pods) != pods[n.Name] || n.Used.CPU > 4000 {
			w.t.Errorf("%s: %d millicores and %d pods in use, counted %d and %d", n.Name, n.Used.CPU, len(n.Pods), cpu[n.Name], pods[n.Name])
		}
	}
	if w.c.Snapshot.Assigned() != len(uids) {
		w.t.Errorf("%d pods assigned, counted %d", w.c.Snapshot.Assigned(), len(uids))
	}
}

func (w *world) state() string {
	var out string
	for _, n := range w.c.Snapshot.Nodes() {
		out += fmt.Sprintf("%s cpu=%d pods=%d ports=%d; ", n.Name, n.Used.CPU, len(n.Pods), len(n.Ports))
	}
	return out
}
