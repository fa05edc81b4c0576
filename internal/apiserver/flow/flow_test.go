package flow

import (
	"fmt"
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
)

func suggested() (*Pool, *Config) {
	p := &Pool{}
	return p, p.Configure(Schemas(), Levels())
}

func TestSort(t *testing.T) {
	_, c := suggested()
	anybody := []string{"system:authenticated"}
	for _, tt := range []struct {
		want string
		r    Request
	}{
		{"exempt exempt exempt", Request{User: "admin", Groups: []string{"system:masters"}, Verb: "list", Resource: true, Kind: "pods"}},
		{"probes exempt probes", Request{User: "x", Groups: anybody, Verb: "get", Path: "/readyz"}},
		{"global-default global-default global-default/jane", Request{User: "jane", Groups: anybody, Verb: "get", Path: "/metrics"}},
		{"global-default global-default global-default/jane", Request{User: "jane", Groups: anybody, Verb: "list", Resource: true, Kind: "pods", Namespace: "a"}},
		{"system-leader-election leader-election system-leader-election/system:kube-scheduler", Request{User: "system:kube-scheduler", Groups: anybody, Verb: "update", Resource: true, Group: "coordination.k8s.io", Kind: "leases", Namespace: "kube-system"}},
		{"kube-scheduler workload-high kube-scheduler/b", Request{User: "system:kube-scheduler", Groups: anybody, Verb: "update", Resource: true, Kind: "pods/status", Namespace: "b"}},
		{"system-node-high node-high system-node-high/system:node:n", Request{User: "system:node:n", Groups: append(anybody, "system:nodes"), Verb: "patch", Resource: true, Kind: "nodes/status"}},
		{"system-nodes system system-nodes/system:node:n", Request{User: "system:node:n", Groups: append(anybody, "system:nodes"), Verb: "get", Resource: true, Kind: "secrets", Namespace: "a"}},
		{"kube-system-service-accounts workload-high kube-system-service-accounts/c", Request{User: "system:serviceaccount:kube-system:x", Groups: append(anybody, "system:serviceaccounts"), Verb: "get", Resource: true, Kind: "pods", Namespace: "c"}},
		{"service-accounts workload-low service-accounts/system:serviceaccount:a:b", Request{User: "system:serviceaccount:a:b", Groups: append(anybody, "system:serviceaccounts"), Verb: "get", Resource: true, Kind: "pods", Namespace: "c"}},
		{"global-default global-default global-default/system:anonymous", Request{User: "system:anonymous", Groups: []string{"system:unauthenticated"}, Verb: "get", Path: "/x"}},
	} {
		p := c.Sort(&tt.r)
		if have := fmt.Sprintf("%s %s %s", p.Schema.Name, p.Level.Name, p.Flow); have != tt.want {
			t.Errorf("%+v: %s, want %s", tt.r, have, tt.want)
		}
	}
	if p := c.Sort(&Request{User: "nobody"}); p.Level != nil {
		t.Error("who is in no group has a place")
	}
}

func admittedNow(t *Ticket) bool {
	select {
	case <-t.Admitted():
		return true
	default:
		return false
	}
}

// small is a level with two seats, and queues for each flow.
func small(perFlow int32) (*Pool, *Level) {
	p := &Pool{}
	l := Levels()[7]
	l.Name = "small"
	*l.Spec.Limited.NominalConcurrencyShares = 2
	l.Spec.Limited.LimitResponse.Queuing = &flowcontrolv1.QueuingConfiguration{Queues: 4, HandSize: 1, QueueLengthLimit: perFlow}
	l.Spec.Limited.BorrowingLimitPercent = ptr[int32](0)
	rest := Levels()[2]
	*rest.Spec.Limited.NominalConcurrencyShares = TotalSeats - 2
	c := p.Configure(nil, []*flowcontrolv1.PriorityLevelConfiguration{l, rest})
	return p, c.levels["small"]
}

// TestFairness: who asks for little is next, however many the others ask for.
func TestFairness(t *testing.T) {
	_, l := small(1000)
	var running, greedy []*Ticket
	for range 1000 {
		tk, ok := l.Enter("greedy", 1)
		if !ok {
			t.Fatal("refused")
		}
		if admittedNow(tk) {
			running = append(running, tk)
		} else {
			greedy = append(greedy, tk)
		}
	}
	if len(running) != 2 {
		t.Fatalf("%d run on two seats", len(running))
	}
	modest, ok := l.Enter("modest", 1)
	if !ok || admittedNow(modest) {
		t.Fatal("no seat was free")
	}
	running[0].Leave()
	running[1].Leave()
	if !admittedNow(modest) {
		t.Fatal("after two of a thousand, the other flow must have had its turn")
	}
	if !admittedNow(greedy[0]) || admittedNow(greedy[1]) {
		t.Error("the other seat is the first one's who waits, and nobody else's")
	}
}

func TestOverflow(t *testing.T) {
	_, l := small(3)
	enter := func(flow string) bool { _, ok := l.Enter(flow, 1); return ok }
	for i, want := range []bool{true, true, true, true, true, false} { // two run, three wait
		if enter("a") != want {
			t.Fatalf("request %d: %v", i, !want)
		}
	}
	if !enter("b") {
		t.Error("a full flow fills no other")
	}
}

func TestLeaveTheQueue(t *testing.T) {
	_, l := small(10)
	a, _ := l.Enter("a", 2)
	b, _ := l.Enter("b", 1)
	c, _ := l.Enter("c", 1)
	b.Leave()
	b.Leave()
	a.Leave()
	if admittedNow(b) || !admittedNow(c) {
		t.Error("who has left is not served, who waits is")
	}
	c.Leave()
	if l.executing != 0 || l.waiting != 0 || len(l.flows) != 0 || len(l.turn) != 0 {
		t.Errorf("something is left: %+v", l)
	}
}

func TestReconfigureWhileWaiting(t *testing.T) {
	p, l := small(10)
	a, _ := l.Enter("a", 2)
	b, _ := l.Enter("b", 1)
	big := Levels()[7]
	big.Name = "small"
	p.Configure(nil, []*flowcontrolv1.PriorityLevelConfiguration{big})
	if !admittedNow(b) {
		t.Error("more seats, and nobody told who waits")
	}
	a.Leave()
	b.Leave()
	if l.executing != 0 {
		t.Errorf("%d seats lost", l.executing)
	}
}

func TestBorrowing(t *testing.T) {
	p := &Pool{}
	c := p.Configure(nil, Levels())
	low, high := c.levels["workload-low"], c.levels["workload-high"]
	n := 0
	for {
		tk, ok := high.Enter(fmt.Sprint(n), 1)
		if !ok || !admittedNow(tk) {
			break
		}
		n++
	}
	if n <= high.seats || n > TotalSeats {
		t.Errorf("%d requests on %d seats of its own", n, high.seats)
	}
	// Whoever lent keeps what is not lendable, at least.
	if tk, ok := low.Enter("x", 1); !ok || !admittedNow(tk) {
		t.Error("a level that is not busy serves at once")
	}
}

func TestReject(t *testing.T) {
	_, c := suggested()
	l := c.levels["catch-all"]
	n := 0
	for {
		if _, ok := l.Enter("x", 1); !ok {
			break
		}
		n++
	}
	if n < l.seats {
		t.Errorf("%d of %d", n, l.seats)
	}
}

func BenchmarkUncontended(b *testing.B) {
	_, c := suggested()
	r := Request{User: "system:serviceaccount:a:b", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"}, Verb: "get", Resource: true, Kind: "pods", Namespace: "c"}
	b.ReportAllocs()
	for b.Loop() {
		p := c.Sort(&r)
		t, _ := p.Level.Enter(p.Flow, 1)
		t.Leave()
	}
}
