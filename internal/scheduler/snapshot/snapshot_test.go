package snapshot

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func testNode(name string, l map[string]string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: l}}
}

func testPod(name, ns string, l map[string]string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, UID: types.UID(name), Labels: l},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
}

func selector(v string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": v}}
}

// TestGroupsCountRight changes everything that groups depend on at random and counts anew each time.
func TestGroupsCountRight(t *testing.T) {
	// Always the same seed, unless SKIFF_SEED says another ("random": whichever).
	seed := uint64(1)
	switch v := os.Getenv("SKIFF_SEED"); v {
	case "":
	case "random":
		seed = rand.Uint64()
	default:
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SKIFF_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := New()
	team := map[string]string{}
	var pods []*Pod
	specs := []GroupSpec{
		NewGroupSpec(false, NewMatch([]string{"ns-0"}, nil, selector("a"), nil)),
		NewGroupSpec(true, NewMatch([]string{"ns-0"}, nil, selector("a"), nil)),
		NewGroupSpec(false, NewMatch([]string{"ns-0", "ns-1"}, nil, &metav1.LabelSelector{}, nil)),
		NewGroupSpec(false, NewMatch([]string{"ns-2"}, &metav1.LabelSelector{MatchLabels: map[string]string{"team": "red"}}, selector("b"), nil)),
		NewGroupSpec(false, NewMatch([]string{"ns-0"}, nil, nil, nil)),
		NewGroupSpec(false, NewMatch([]string{"ns-1"}, nil, selector("a"), nil), NewMatch([]string{"ns-0", "ns-1"}, nil, selector("a"), nil)),
	}
	for step := range 3000 {
		switch k := r.IntN(10); {
		case k == 0:
			s.SetNode(testNode(fmt.Sprintf("n%d", r.IntN(5)), nil))
		case k == 1:
			s.RemoveNode(fmt.Sprintf("n%d", r.IntN(5)))
		case k == 2:
			ns := fmt.Sprintf("ns-%d", r.IntN(3))
			team[ns] = []string{"red", "blue"}[r.IntN(2)]
			s.SetNamespace(ns, map[string]string{"team": team[ns]})
		case k < 6 && len(pods) > 0:
			i := r.IntN(len(pods))
			s.Remove(pods[i])
			s.Release(pods[i])
			pods = slices.Delete(pods, i, i+1)
		case k == 6 && step%50 == 0:
			for range keepFor + sweepEvery + 2 {
				s.Tick()
			}
			if len(s.groups)+len(s.holders) > len(pods) {
				t.Fatalf("%d groups and %d holders were never dropped", len(s.groups), len(s.holders))
			}
		default:
			o := testPod(fmt.Sprintf("p%d", step), fmt.Sprintf("ns-%d", r.IntN(3)), map[string]string{"app": string(rune('a' + r.IntN(3)))})
			if r.IntN(4) == 0 {
				o.DeletionTimestamp = &metav1.Time{}
			}
			if r.IntN(4) == 0 {
				o.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
					RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: "host", LabelSelector: selector("b")}}}}
			}
			p := s.Compile(o)
			s.Assign(p, fmt.Sprintf("n%d", r.IntN(5)))
			pods = append(pods, p)
		}
		spec := &specs[r.IntN(len(specs))]
		g := s.Group(spec)
		want := make([]int32, s.Slots())
		held := 0
		for _, p := range pods {
			if p.Node == nil {
				continue
			}
			if spec.Selects(s, p.Labels) && !(spec.live && p.Terminating) {
				want[p.Node.Slot]++
			}
			if p.Obj.Spec.Affinity != nil {
				held++
			}
		}
		if !slices.Equal(g.PerNode, want) {
			t.Fatalf("step %d: group %q has %v, counted %v", step, spec.key, g.PerNode, want)
		}
		for _, h := range s.holders {
			held -= h.Total
		}
		if held != 0 {
			t.Fatalf("step %d: %d pods carry a term that no holder counts", step, held)
		}
	}
	for _, p := range pods {
		s.Remove(p)
		s.Release(p)
	}
	if len(s.labelSets) != 0 || len(s.pods) != 0 || len(s.orphan) != 0 || len(s.priorities) != 0 {
		t.Errorf("left behind: %d label sets, %d pods, %d orphans, %d priorities", len(s.labelSets), len(s.pods), len(s.orphan), len(s.priorities))
	}
}

func TestTopologyForgetsDomains(t *testing.T) {
	s := New()
	for i := range 1000 {
		name := fmt.Sprintf("n%d", i)
		s.SetNode(testNode(name, map[string]string{"host": name}))
		s.Topology("host")
		if i >= 10 {
			s.RemoveNode(fmt.Sprintf("n%d", i-10))
		}
	}
	topo := s.Topology("host")
	if topo.Domains > 2*11+64 || s.Slots() > 12 {
		t.Errorf("%d domains, %d slots for 10 nodes", topo.Domains, s.Slots())
	}
	seen := map[int32]bool{}
	for _, n := range s.Nodes() {
		seen[topo.Domain[n.Slot]] = true
	}
	if len(seen) != s.Len() {
		t.Errorf("%d domains of %d nodes", len(seen), s.Len())
	}
}

func TestRelabelledNodeIsAskedAgain(t *testing.T) {
	s := New()
	s.SetNode(testNode("n", map[string]string{"disk": "ssd"}))
	o := testPod("p", "default", nil)
	o.Spec.NodeSelector = map[string]string{"disk": "ssd"}
	p := s.Compile(o)
	n := s.Node("n")
	if !s.Wants(p).Select.Match(n) {
		t.Error("does not match")
	}
	if c := s.SetNode(testNode("n", map[string]string{"disk": "hdd"})); c != NodeLabels {
		t.Errorf("change %b", c)
	}
	if s.Wants(p).Select.Match(n) {
		t.Error("matches still")
	}
}

func TestMatchLabelKeys(t *testing.T) {
	s := New()
	o := testPod("p", "default", map[string]string{"app": "a", "rev": "2"})
	o.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: "host", LabelSelector: selector("a"), MatchLabelKeys: []string{"rev", "none"}}}
	w := s.Wants(s.Compile(o))
	old := s.Compile(testPod("q", "default", map[string]string{"app": "a", "rev": "1"}))
	if !w.Hard[0].Self || w.Hard[0].Group.Selects(s, old.Labels) {
		t.Error("matchLabelKeys does not tell revisions apart")
	}
}
