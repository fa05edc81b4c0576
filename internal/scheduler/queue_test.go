package scheduler

import (
	"testing"
	"time"

	"github.com/skiff-k8s/skiff/internal/scheduler/plugins"
	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

func TestQueueOrder(t *testing.T) {
	s, q := snapshot.New(), newQueue()
	for _, p := range []struct {
		name string
		prio int32
	}{{"low", 1}, {"first", 5}, {"second", 5}, {"top", 9}} {
		q.add(&entry{pod: s.Compile(pod(p.name, priority(p.prio)))})
	}
	for _, want := range []string{"top", "first", "second", "low"} {
		if e := q.pop(); e == nil || e.pod.Obj.Name != want {
			t.Fatalf("popped %v, want %s", e, want)
		}
	}
	if q.pop() != nil {
		t.Error("queue is not empty")
	}
}

func TestQueueBackoff(t *testing.T) {
	now := time.Unix(1000, 0)
	s, q := snapshot.New(), newQueue()
	e := &entry{pod: s.Compile(pod("x", ask("1", "1Gi")))}
	q.add(e)
	for _, want := range []time.Duration{1, 2, 4, 8, 10, 10} {
		if q.pop() != e {
			t.Fatal("the pod is not there")
		}
		q.retry(e, now)
		if q.pop() != nil {
			t.Fatal("an error's back-off was not waited for")
		}
		if d := q.next(now); d != want*time.Second {
			t.Errorf("attempt %d: waits %v, want %ds", e.attempts, d, want)
		}
		now = now.Add(want*time.Second - 1)
		if q.advance(now); q.pop() != nil {
			t.Fatal("tried too early")
		}
		now = now.Add(1)
		q.advance(now)
	}
}

func TestQueueWakes(t *testing.T) {
	now := time.Unix(1000, 0)
	s := snapshot.New()
	s.SetNode(node("a"))
	s.SetNode(node("tainted", taint("k", "v", "NoSchedule")))
	web := s.Compile(pod("web", label("app", "web")))
	keeper := s.Compile(pod("keeper", anti("host", "db")))
	small := func() plugins.Change {
		return plugins.Change{Kind: plugins.NodeChanged, Parts: snapshot.NodeAllocatable, Node: s.Node("a")}
	}
	tests := []struct {
		name string
		pod  *snapshot.Pod
		by   plugins.Index
		ch   plugins.Change
		want bool
	}{
		{"room by a pod that left", s.Compile(pod("p")), plugins.NodeResourcesFit, plugins.Change{Kind: plugins.PodGone, Pod: web}, true},
		{"room for it", s.Compile(pod("p", ask("1", "1Gi"))), plugins.NodeResourcesFit, small(), true},
		{"not enough room", s.Compile(pod("p", ask("9", "1Gi"))), plugins.NodeResourcesFit, small(), false},
		{"a pod that came", s.Compile(pod("p")), plugins.NodeResourcesFit, plugins.Change{Kind: plugins.PodThere, Pod: web}, false},
		{"a taint went", s.Compile(pod("p")), plugins.TaintToleration, plugins.Change{Kind: plugins.NodeChanged, Parts: snapshot.NodeTaints, Node: s.Node("a")}, true},
		{"a taint stayed", s.Compile(pod("p")), plugins.TaintToleration, plugins.Change{Kind: plugins.NodeChanged, Parts: snapshot.NodeTaints, Node: s.Node("tainted")}, false},
		{"company came", s.Compile(pod("p", near("host", "web"))), plugins.InterPodAffinity, plugins.Change{Kind: plugins.PodThere, Pod: web}, true},
		{"other company came", s.Compile(pod("p", near("host", "db"))), plugins.InterPodAffinity, plugins.Change{Kind: plugins.PodThere, Pod: web}, false},
		{"an enemy left", s.Compile(pod("p", anti("host", "web"))), plugins.InterPodAffinity, plugins.Change{Kind: plugins.PodGone, Pod: web}, true},
		{"one that kept it away left", s.Compile(pod("p")), plugins.InterPodAffinity, plugins.Change{Kind: plugins.PodGone, Pod: keeper}, true},
		{"a neutral left", s.Compile(pod("p")), plugins.InterPodAffinity, plugins.Change{Kind: plugins.PodGone, Pod: web}, false},
		{"a port is free", s.Compile(pod("p", port(80))), plugins.NodePorts, plugins.Change{Kind: plugins.PodGone, Pod: s.Compile(pod("o", port(80)))}, true},
		{"another port is free", s.Compile(pod("p", port(80))), plugins.NodePorts, plugins.Change{Kind: plugins.PodGone, Pod: s.Compile(pod("o", port(81)))}, false},
		{"its group changed", s.Compile(pod("p", spread("host", 1, "DoNotSchedule", "web"))), plugins.PodTopologySpread, plugins.Change{Kind: plugins.PodThere, Pod: web}, true},
		{"another plugin kept it", s.Compile(pod("p")), plugins.NodeAffinity, plugins.Change{Kind: plugins.PodGone, Pod: web}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := newQueue()
			e := &entry{pod: tt.pod}
			q.add(e)
			q.pop()
			q.park(e, 1<<tt.by, now)
			q.wake(s, &tt.ch, now.Add(time.Minute))
			if got := q.pop() == e; got != tt.want {
				t.Errorf("woken %v, want %v", got, tt.want)
			}
		})
	}
}
