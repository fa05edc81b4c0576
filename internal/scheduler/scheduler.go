// Package scheduler gives pods their nodes, as kube-scheduler's default profile does.
//
// Inputs are watches of nodes, pods and what constraints refer to; outputs are
// bindings, the PodScheduled condition, nominated nodes, deletions of preempted pods
// and events. The decision is a pure core (cycle.go, preempt.go) over a
// snapshot; this file's loop and the files follow.go, bind.go and report.go are its edge.
//
// One goroutine, the loop, owns snapshot, queue and core: there are no locks on
// them. Watches and finished writes put messages into a mailbox that the loop empties before
// each pod. Writes run beside it, at most maxWrites at a time.
//
// Invariant: a pod that was given a node counts on it (it is assumed) from the
// decision on, until its binding fails or the pod is gone.
//
// Read this file, then cycle.go, then snapshot/ and plugins/.
package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/scheduler/plugins"
	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

// DefaultName is the scheduler that pods get when they name none.
const DefaultName = corev1.DefaultSchedulerName

// maxWrites is how many bindings and status writes are under way at a time. The
// store commits what comes together at once, so this sets the size of its batches.
const maxWrites = 64

// Options are what a scheduler needs.
type Options struct {
	Client client.Client
	Events client.Recorder
	Log    *slog.Logger
	Now    func() time.Time // nil: time.Now
	Name   string           // empty: DefaultName
	Seed   uint64           // of the choice between equally good nodes
}

// Scheduler schedules the pods that name it.
type Scheduler struct {
	Options
	core  *Core
	queue *queue
	pods  map[types.UID]*tracked
	pdbs  map[string]*budget
	// preempting holds pods whose deletion for another pod is under way.
	preempting map[types.UID]bool

	// awaiting holds pods that have a node and wait for their claims there.
	awaiting map[types.UID]*awaiting

	ctx    context.Context // of Run: what is begun on the loop ends with it
	mail   mailbox
	writes chan struct{}
	wg     sync.WaitGroup

	unsynced  int // kinds whose first list has not come yet
	nextFlush time.Time
}

// tracked is a pod that the scheduler follows.
type tracked struct {
	entry // pod, and its place in the queue while it is pending
	// assumed: bound by this scheduler, and not seen so yet.
	assumed bool
	// written is what its condition was made to say last; while writing is set, that is
	// under way, and unwritten is what to write next.
	writing            bool
	written, unwritten *report
}

// New returns a scheduler; Run starts it.
func New(o Options) *Scheduler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Scheduler{
		Options: o, core: NewCore(o.Seed), queue: newQueue(),
		pods: map[types.UID]*tracked{}, pdbs: map[string]*budget{}, preempting: map[types.UID]bool{},
		awaiting: map[types.UID]*awaiting{},
		mail:     mailbox{ready: make(chan struct{}, 1)}, writes: make(chan struct{}, maxWrites),
	}
}

// Run schedules until the context ends or a watch cannot be had. A Scheduler runs once.
func (s *Scheduler) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer s.wg.Wait()
	defer cancel(nil)
	s.ctx = ctx
	followed := s.follows()
	s.unsynced = len(followed)
	for _, f := range followed {
		s.wg.Go(func() {
			if err := s.follow(ctx, f); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("scheduler: watch %s: %w", f.on.GVR.Resource, err))
			}
		})
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		for _, m := range s.mail.take() {
			m()
		}
		if s.unsynced == 0 && s.turn() {
			continue
		}
		var alarm <-chan time.Time
		d := s.queue.next(s.Now())
		if len(s.awaiting) > 0 && (d == 0 || d > flushEvery) {
			d = flushEvery
		}
		if d > 0 {
			timer.Reset(d)
			alarm = timer.C
		}
		select {
		case <-ctx.Done():
		case <-s.mail.ready:
		case <-alarm:
		}
	}
	return context.Cause(ctx)
}

// turn tries one pod; it returns false when there is none to try.
func (s *Scheduler) turn() bool {
	now := s.Now()
	s.queue.advance(now)
	if now.After(s.nextFlush) {
		s.queue.flush(now)
		s.checkAwaiting()
		s.nextFlush = now.Add(flushEvery)
	}
	e := s.queue.pop()
	if e == nil {
		return false
	}
	s.attempt(s.pods[e.pod.Obj.UID], now)
	return true
}

// attempt schedules one pod.
func (s *Scheduler) attempt(t *tracked, now time.Time) {
	d, fe := s.core.Schedule(t.pod)
	if fe == nil {
		s.assume(t, d)
		return
	}
	var victims []*snapshot.Pod
	nominate := ""
	if !fe.NoNodes {
		p := s.core.Preempt(t.pod, fe, s.budgets(), s.preempting)
		fe.Preemption, victims, nominate = p.Message, p.Victims, p.Node
		if p.Keep {
			nominate = t.pod.NominatedNode()
		}
	}
	s.queue.park(&t.entry, fe.By, now)
	s.core.Snapshot.Nominate(t.pod, nominate)
	if len(victims) > 0 {
		s.evict(t, victims, nominate)
	}
	s.reportFailure(t, report{corev1.PodReasonUnschedulable, fe.Error(), nominate})
}

// assume counts the pod on its node and has it bound.
func (s *Scheduler) assume(t *tracked, d Decision) {
	choices := s.core.choose(t.pod, d.Node)
	s.core.Snapshot.Unnominate(t.pod)
	s.core.Snapshot.Assign(t.pod, d.Node.Name)
	t.assumed = true
	if len(choices) > 0 {
		s.provision(t, d.Node.Name, choices)
		return
	}
	s.bind(t, d.Node.Name)
}

// wake tells the queue of a change of the cluster.
func (s *Scheduler) wake(ch plugins.Change) {
	s.queue.wake(s.core.Snapshot, &ch, s.Now())
}

// write runs f beside the loop, once there is room for another write. It may wait
// for a write to end; ended writes never wait for the loop.
func (s *Scheduler) write(f func(context.Context)) {
	select {
	case s.writes <- struct{}{}:
	case <-s.ctx.Done():
		return
	}
	s.wg.Go(func() {
		defer func() { <-s.writes }()
		f(s.ctx)
	})
}

// mailbox hands work to the loop, in order.
type mailbox struct {
	mu    sync.Mutex
	items []func()
	spare []func()
	ready chan struct{}
}

func (m *mailbox) put(f ...func()) {
	m.mu.Lock()
	m.items = append(m.items, f...)
	m.mu.Unlock()
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// take returns what is there; it is valid until the next take.
func (m *mailbox) take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.spare)
	out := m.items
	m.items, m.spare = m.spare[:0], out
	return out
}
