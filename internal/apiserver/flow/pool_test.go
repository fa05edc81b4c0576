package flow

import (
	"math/rand/v2"
	"testing"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
)

// level is a level of the seats given, of a pool of a hundred. Queues of 0 refuse.
func level(name string, seats, queues, hand, length int32) *flowcontrolv1.PriorityLevelConfiguration {
	l := &flowcontrolv1.LimitedPriorityLevelConfiguration{NominalConcurrencyShares: &seats, LimitResponse: flowcontrolv1.LimitResponse{Type: flowcontrolv1.LimitResponseTypeReject}}
	if queues > 0 {
		l.LimitResponse = flowcontrolv1.LimitResponse{Type: flowcontrolv1.LimitResponseTypeQueue,
			Queuing: &flowcontrolv1.QueuingConfiguration{Queues: queues, HandSize: hand, QueueLengthLimit: length}}
	}
	return &flowcontrolv1.PriorityLevelConfiguration{ObjectMeta: meta(name), Spec: flowcontrolv1.PriorityLevelConfigurationSpec{Type: flowcontrolv1.PriorityLevelEnablementLimited, Limited: l}}
}

func lending(l *flowcontrolv1.PriorityLevelConfiguration, lend, borrow int32) *flowcontrolv1.PriorityLevelConfiguration {
	l.Spec.Limited.LendablePercent = &lend
	if borrow >= 0 {
		l.Spec.Limited.BorrowingLimitPercent = &borrow
	}
	return l
}

// bench is a pool at a time, with a schema for each of its levels.
type bench struct {
	*Pool
	t   testing.TB
	now time.Duration
	at  map[string]*Schema
}

func set(t testing.TB, levels ...*flowcontrolv1.PriorityLevelConfiguration) *bench {
	b := &bench{Pool: &Pool{Total: 100}, t: t}
	b.configure(levels...)
	return b
}

func (b *bench) configure(levels ...*flowcontrolv1.PriorityLevelConfiguration) []*Ticket {
	b.t.Helper()
	// Those that must be there shall have nothing, and what is not given goes to one that does not lend.
	catch, rest := level("catch-all", 0, 0, 0, 0), int32(100)
	for _, l := range levels {
		rest -= int32(sharesOf(l))
	}
	levels = append(levels, catch, lending(level("rest", rest, 0, 0, 0), 0, 0))
	var schemas []*flowcontrolv1.FlowSchema
	for _, l := range levels {
		s := &flowcontrolv1.FlowSchema{ObjectMeta: meta(l.Name)}
		s.Spec.PriorityLevelConfiguration.Name = l.Name
		schemas = append(schemas, s)
	}
	c, admitted := b.Configure(b.now, schemas, levels)
	b.at = map[string]*Schema{}
	for _, s := range c.schemas {
		b.at[s.Name] = s
	}
	return admitted
}

func (b *bench) enter(level string, flow uint64, seats int) (*Ticket, Reason) {
	t := &Ticket{}
	why := b.Enter(b.now, &Place{b.at[level], flow * 0x9e3779b97f4a7c15}, seats, t)
	if (why == NoReason) == (t.state == Idle) {
		b.t.Fatalf("%s: %v, state %d", level, why, t.state)
	}
	return t, why
}

func (b *bench) must(level string, flow uint64, want State) *Ticket {
	b.t.Helper()
	t, why := b.enter(level, flow, 1)
	if t.state != want {
		b.t.Fatalf("%s: state %d (%s), want %d", level, t.state, why, want)
	}
	return t
}

// One flow asks a thousand times, another once: the other is next.
func TestFairness(t *testing.T) {
	b := set(t, lending(level("l", 2, 16, 2, 1000), 0, 0))
	var greedy []*Ticket
	for range 1000 {
		tk, _ := b.enter("l", 1, 1)
		greedy = append(greedy, tk)
	}
	if greedy[0].state != Running || greedy[1].state != Running || greedy[2].state != Waiting {
		t.Fatal("two seats")
	}
	modest := b.must("l", 2, Waiting)
	b.now += time.Second
	if got := b.Leave(b.now, greedy[0], NoReason); len(got) != 1 || got[0] != modest {
		t.Fatalf("another is next")
	}
	if got := b.Leave(b.now, greedy[1], NoReason); len(got) != 1 || got[0] == modest {
		t.Fatalf("nobody is next")
	}
}

// Flows share a level by the seats and the time that they use, whatever each asks for.
func TestShares(t *testing.T) {
	b := set(t, lending(level("l", 40, 64, 1, 1000), 0, 0)) // a queue for each
	kinds := []struct {
		seats int
		lasts time.Duration
	}{{1, 10 * time.Millisecond}, {1, 100 * time.Millisecond}, {4, 10 * time.Millisecond}, {2, 50 * time.Millisecond}}
	used := make([]float64, len(kinds))
	type running struct {
		t    *Ticket
		kind int
		ends time.Duration
	}
	var now []running
	kindOf := map[*Ticket]int{}
	start := func(tk *Ticket) {
		k := kindOf[tk]
		now = append(now, running{tk, k, b.now + kinds[k].lasts})
	}
	// Each flow always has fifty requests there.
	ask := func(k int) {
		tk, why := b.enter("l", uint64(k), kinds[k].seats)
		if why != NoReason {
			t.Fatal(why)
		}
		kindOf[tk] = k
		if tk.state == Running {
			start(tk)
		}
	}
	for k := range kinds {
		for range 50 {
			ask(k)
		}
	}
	for b.now < 10*time.Second {
		first := 0
		for i, r := range now {
			if r.ends < now[first].ends {
				first = i
			}
		}
		r := now[first]
		now = append(now[:first], now[first+1:]...)
		b.now = r.ends
		used[r.kind] += float64(kinds[r.kind].seats) * kinds[r.kind].lasts.Seconds()
		delete(kindOf, r.t)
		for _, a := range b.Leave(b.now, r.t, NoReason) {
			start(a)
		}
		ask(r.kind)
	}
	for k, u := range used {
		if fair := 40.0 * 10 / 4; u < 0.85*fair || u > 1.15*fair {
			t.Errorf("flow %d (%+v) had %.0f seat-seconds, its part is %.0f", k, kinds[k], u, fair)
		}
	}
}

// A flow that was away has not saved anything up.
func TestNoCredit(t *testing.T) {
	b := set(t, lending(level("l", 1, 16, 2, 100), 0, 0))
	for range 100 {
		tk := b.must("l", 1, Running)
		b.now += time.Second
		b.Leave(b.now, tk, NoReason)
	}
	run := b.must("l", 1, Running)
	var mine []*Ticket
	for range 20 {
		mine = append(mine, b.must("l", 1, Waiting))
		b.must("l", 2, Waiting)
	}
	for range 10 { // ten of twenty-odd
		b.now += time.Second
		run = b.Leave(b.now, run, NoReason)[0]
	}
	had := 0
	for _, tk := range mine {
		if tk.state != Waiting {
			had++
		}
	}
	if had < 4 || had > 6 {
		t.Errorf("the flow that was there had %d of 10 turns", had)
	}
}

func TestFull(t *testing.T) {
	b := set(t, lending(level("l", 1, 1, 1, 3), 0, 0), lending(level("none", 1, 0, 0, 0), 0, 0))
	run := b.must("l", 1, Running)
	for range 3 {
		b.must("l", 1, Waiting)
	}
	if _, why := b.enter("l", 2, 1); why != Full || why.String() != "queue-full" {
		t.Errorf("%s", why)
	}
	b.Leave(b.now, run, NoReason)
	b.must("l", 2, Waiting)
	b.must("none", 1, Running)
	if _, why := b.enter("none", 2, 1); why != Limit {
		t.Errorf("%s", why)
	}
	if s := b.at["l"].stats; s.Refused[Full] != 1 || s.Dispatched != 2 || s.Waiting != 3 || s.Running != 1 {
		t.Errorf("%+v", s)
	}
}

// Who leaves the queue is not served, and is in nobody's way.
func TestLeaveTheQueue(t *testing.T) {
	b := set(t, lending(level("l", 20, 1, 1, 30), 0, 0))
	wide := func() *Ticket { tk, _ := b.enter("l", 1, 3); return tk }
	var run []*Ticket
	for range 6 {
		run = append(run, wide())
	}
	blocked := wide() // 18 of 20 are taken
	narrow := b.must("l", 1, Waiting)
	if got := b.Leave(b.now, blocked, Cancelled); len(got) != 1 || got[0] != narrow {
		t.Fatalf("who waited behind: %v", got)
	}
	if b.Leave(b.now, blocked, Cancelled) != nil {
		t.Error("left twice")
	}
	for _, tk := range append(run, narrow) {
		b.Leave(b.now, tk, NoReason)
	}
	l := b.at["l"].level
	if l.inUse != 0 || l.waiting != 0 || len(l.active) != 0 || b.waiting != 0 || b.at["l"].stats.Refused[Cancelled] != 1 {
		t.Errorf("%+v", l)
	}
}

func TestBorrow(t *testing.T) {
	b := set(t, lending(level("a", 10, 1, 1, 50), 50, -1), lending(level("b", 10, 1, 1, 50), 0, -1), lending(level("c", 10, 1, 1, 50), 0, 20))
	var bs []*Ticket
	for range 15 { // ten of its own, five of a's
		bs = append(bs, b.must("b", 1, Running))
	}
	waits := b.must("b", 1, Waiting)
	for range 5 { // what a does not lend is there
		b.must("a", 1, Running)
	}
	claim := b.must("a", 1, Waiting)
	if got := b.Leave(b.now, bs[0], NoReason); len(got) != 1 || got[0] != claim || waits.state != Waiting {
		t.Fatal("what is given back goes to whom it belongs")
	}
	for i := range 5 {
		b.Leave(b.now, bs[1+i], NoReason)
	}
	if waits.state != Running {
		t.Error("its own seats are free")
	}
	b = set(t, lending(level("a", 50, 1, 1, 50), 100, -1), lending(level("c", 10, 1, 1, 50), 0, 20))
	for range 12 { // ten and a fifth
		b.must("c", 1, Running)
	}
	b.must("c", 1, Waiting)
}

func TestWidth(t *testing.T) {
	b := set(t, level("large", 60, 1, 1, 5), level("small", 2, 1, 1, 5))
	if tk, _ := b.enter("large", 1, 10); tk.seats != 9 {
		t.Errorf("%d seats", tk.seats)
	}
	if tk, _ := b.enter("small", 1, 10); tk.seats != 1 {
		t.Errorf("%d seats", tk.seats)
	}
}

// Limits that change count at once: for who waits, who runs, and who comes.
func TestConfigureWhileWaiting(t *testing.T) {
	b := set(t, lending(level("l", 1, 4, 2, 50), 0, 0))
	run := b.must("l", 1, Running)
	var waiting []*Ticket
	for i := range 6 {
		waiting = append(waiting, b.must("l", uint64(i), Waiting))
	}
	if got := b.configure(lending(level("l", 3, 8, 2, 50), 0, 0)); len(got) != 2 {
		t.Fatalf("%d were admitted to two more seats", len(got))
	}
	if got := b.configure(lending(level("l", 1, 0, 0, 0), 0, 0)); len(got) != 0 {
		t.Fatal("fewer seats, more who run")
	}
	if _, why := b.enter("l", 9, 1); why != Limit {
		t.Error("it queues no more")
	}
	// The level goes: those who are there are served.
	b.configure()
	b.now += time.Second
	b.Leave(b.now, run, NoReason)
	for range 10 {
		for _, tk := range waiting {
			if tk.state == Running {
				b.Leave(b.now, tk, NoReason)
			}
		}
	}
	for i, tk := range waiting {
		if tk.state != Idle {
			t.Errorf("%d: state %d", i, tk.state)
		}
	}
	b.configure()
	for _, l := range b.levels {
		if l.Name == "l" {
			t.Error("the level is still there")
		}
	}
	if b.lent != 0 || b.waiting != 0 {
		t.Errorf("%d lent, %d wait", b.lent, b.waiting)
	}
}

func TestExempt(t *testing.T) {
	p, c := suggested()
	at := c.Sort(&Request{User: "admin", Groups: []string{"system:masters"}, Verb: "get", Path: "/"})
	tickets := make([]Ticket, 5000)
	for i := range tickets {
		if p.Enter(0, &at, 10, &tickets[i]); tickets[i].state != Running {
			t.Fatal("an exempt request waits")
		}
	}
	other := c.Sort(&Request{User: "x", Groups: anybody, Verb: "get", Path: "/"})
	var tk Ticket
	if p.Enter(0, &other, 1, &tk); tk.state != Running {
		t.Error("exempt requests take seats from others")
	}
}

// TestStorm: whatever comes in whatever order, the invariants hold, and in the end nothing is left.
func TestStorm(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		levels := func() []*flowcontrolv1.PriorityLevelConfiguration {
			return []*flowcontrolv1.PriorityLevelConfiguration{
				lending(level("a", 5+rnd.Int32N(20), 1+rnd.Int32N(8), 1, 10), rnd.Int32N(101), -1),
				lending(level("b", 5+rnd.Int32N(20), 1+rnd.Int32N(8), 1, 10), rnd.Int32N(101), rnd.Int32N(200)),
				lending(level("c", 5+rnd.Int32N(20), rnd.Int32N(2), 1, 10), 0, -1)}
		}
		b := set(t, levels()...)
		var there []*Ticket
		lowered := false
		for range 3000 {
			b.now += time.Duration(rnd.IntN(int(time.Millisecond)))
			switch n := rnd.IntN(100); {
			case n == 0:
				b.configure(levels()...)
				lowered = true
			case n < 55:
				tk, why := b.enter(string("abc"[rnd.IntN(3)]), rnd.Uint64N(5), 1+rnd.IntN(4))
				if why == NoReason {
					there = append(there, tk)
				}
			case len(there) > 0:
				i := rnd.IntN(len(there))
				b.Leave(b.now, there[i], Cancelled)
				there = append(there[:i], there[i+1:]...)
			}
			b.check(seed, there, lowered)
		}
		for _, tk := range there {
			b.Leave(b.now, tk, Cancelled)
		}
		if b.check(seed, nil, true); b.lent != 0 || b.waiting != 0 {
			t.Fatalf("seed %d: something is left", seed)
		}
	}
}

func (b *bench) check(seed uint64, there []*Ticket, lowered bool) {
	b.t.Helper()
	use, wait := map[*Level]int{}, map[*Level]int{}
	for _, tk := range there {
		switch tk.state {
		case Running:
			use[tk.level] += tk.seats
		case Waiting:
			wait[tk.level]++
		default:
			b.t.Fatalf("seed %d: who is there has left", seed)
		}
	}
	lent, spare, sum, nominal := 0, 0, 0, 0
	for _, l := range b.levels {
		if l.inUse != use[l] || l.waiting != wait[l] {
			b.t.Fatalf("seed %d: %s: %d seats and %d wait, it says %d and %d", seed, l.Name, use[l], wait[l], l.inUse, l.waiting)
		}
		lent, spare, sum, nominal = lent+l.borrows(l.inUse), spare+l.lends(l.inUse), sum+l.inUse, nominal+l.nominal
		if tk := l.next(); tk != nil && b.fits(l, tk.seats) {
			b.t.Fatalf("seed %d: %s: seats are free, and somebody waits", seed, l.Name)
		}
	}
	if lent != b.lent || spare != b.spare {
		b.t.Fatalf("seed %d: %d lent of %d, it says %d of %d", seed, lent, spare, b.lent, b.spare)
	}
	if !lowered && (lent > spare || sum > nominal) {
		b.t.Fatalf("seed %d: %d lent of %d, %d in use of %d", seed, lent, spare, sum, nominal)
	}
}

func BenchmarkEnter(b *testing.B) {
	p, c := suggested()
	for name, r := range map[string]Request{
		"exempt": {User: "admin", Groups: []string{"system:masters"}, Verb: "get", Resource: true, Kind: "pods", Namespace: "a"},
		"queued": {User: "system:serviceaccount:a:b", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"}, Verb: "get", Resource: true, Kind: "pods", Namespace: "a"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var tk Ticket
			for b.Loop() {
				at := c.Sort(&r)
				p.Enter(0, &at, 1, &tk)
				p.Leave(time.Millisecond, &tk, NoReason)
			}
		})
	}
}
