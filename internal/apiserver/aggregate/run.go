package aggregate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/workqueue"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/apiregistration"
	"github.com/skiff-k8s/skiff/internal/client"
)

// workers look at APIServices at the same time; one that waits for a dead backend holds up no other.
const workers = 4

// Run follows the cluster until the context ends or a watch fails. It may be
// called again after it has returned, but not twice at a time.
func (a *Aggregator) Run(ctx context.Context) error {
	q := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](retryFirst, retryMost))
	a.mu.Lock()
	if a.queue != nil {
		a.mu.Unlock()
		return errors.New("the aggregator is running already")
	}
	a.queue = q
	a.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	var parts sync.WaitGroup
	run := func(f func(context.Context) error) {
		parts.Go(func() {
			if err := guarded(ctx, f); ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	stop := context.AfterFunc(ctx, q.ShutDown)
	defer func() {
		cancel(nil)
		parts.Wait()
		stop()
		q.ShutDown()
		a.mu.Lock()
		a.queue = nil
		a.mu.Unlock()
		for _, b := range a.all() {
			b.state.Load().link.forget()
		}
	}()
	synced := make(chan struct{})
	run(func(ctx context.Context) error { return a.followServices(ctx, sync.OnceFunc(func() { close(synced) })) })
	run(a.followNeighbours)
	// Names are worked on once all were seen: what was there at the start is a question by itself.
	select {
	case <-synced:
		a.begin(q)
		for range workers {
			run(func(ctx context.Context) error { a.work(ctx, q); return ctx.Err() })
		}
	case <-ctx.Done():
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// guarded makes a panic an error: it ends Run, and not the process.
func guarded(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f(ctx)
}

// begin notes what was there at the first start, and has every name looked at that there is or should be.
func (a *Aggregator) begin(q workqueue.TypedRateLimitingInterface[string]) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.atStart == nil {
		a.atStart = map[string]bool{}
		for name := range a.services {
			a.atStart[name] = true
		}
	}
	for name := range a.services {
		q.Add(name)
	}
	for name := range a.local {
		q.Add(name)
	}
}

// follow watches a kind, beginning with what there is. Each watch has a function of
// its own that gets the events: one that falls behind begins anew, and
// what it missed is made good when it is told that all objects were seen.
func (a *Aggregator) follow(ctx context.Context, r *api.Resource, begin func() func(client.Event)) error {
	for {
		w, err := a.Client.Watch(ctx, r, "", client.Selector{}, -1)
		f := begin()
		for err == nil {
			var events []client.Event
			if events, err = w.Next(ctx); err == nil {
				for _, e := range events {
					f(e)
				}
			}
		}
		if w != nil {
			w.Close()
		}
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return fmt.Errorf("watch %s: %w", r.GVR.Resource, err)
		}
	}
}

func (a *Aggregator) followServices(ctx context.Context, synced func()) error {
	return a.follow(ctx, a.row, func() func(client.Event) {
		seen := map[string]bool{}
		return func(e client.Event) {
			switch {
			case e.Synced():
				for _, name := range a.others(seen) {
					a.drop(name)
				}
				seen = nil
				synced()
			case e.Type == watch.Deleted:
				a.drop(e.Object.GetName())
			default:
				if seen != nil {
					seen[e.Object.GetName()] = true
				}
				a.take(e.Object.(*apiregistrationv1.APIService))
			}
		}
	})
}

// others are the known names that are not among those.
func (a *Aggregator) others(names map[string]bool) (out []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name := range a.services {
		if !names[name] {
			out = append(out, name)
		}
	}
	return out
}

// take notes an APIService as it is now.
func (a *Aggregator) take(o *apiregistrationv1.APIService) {
	a.mu.Lock()
	old := a.services[o.Name]
	a.services[o.Name] = o
	b := a.backends[o.Name]
	meant := old == nil || !equality.Semantic.DeepEqual(old.Spec, o.Spec)
	changed, moved := meant, false
	switch {
	case o.Spec.Service == nil:
		if moved = b != nil; moved {
			delete(a.backends, o.Name)
		}
	case b == nil || b.gv != groupVersionOf(o):
		b = &backend{a: a, name: o.Name, gv: groupVersionOf(o)}
		b.state.Store(stateOf(o, a.newLink(trustOf(&o.Spec))))
		a.backends[o.Name] = b
		moved = true
	default:
		was := b.state.Load()
		l := was.link
		if l.trust != trustOf(&o.Spec) {
			l = a.newLink(trustOf(&o.Spec))
		}
		now := stateOf(o, l)
		b.state.Store(now)
		if l != was.link {
			was.link.forget()
		}
		changed = changed || now.available != was.available
	}
	if moved {
		a.tabulate()
	}
	// Our own write of what was found out needs no second look.
	again := meant || o.Spec.Service == nil || !same(b.decided.Load(), apiregistration.Available(o))
	a.mu.Unlock()
	if b != nil && meant {
		b.docs.expire()
	}
	if again {
		a.enqueue(o.Name)
	}
	if changed || moved {
		a.Changed()
	}
}

func (a *Aggregator) drop(name string) {
	a.mu.Lock()
	_, known := a.services[name]
	b := a.backends[name]
	delete(a.services, name)
	delete(a.backends, name)
	delete(a.losses, name)
	if b != nil {
		a.tabulate()
		b.state.Load().link.forget()
	}
	a.mu.Unlock()
	a.enqueue(name)
	if known {
		a.Changed()
	}
}

// tabulate makes what Handler finds. The lock is held.
func (a *Aggregator) tabulate() {
	t := map[schema.GroupVersion]*backend{}
	for _, b := range a.backends {
		t[b.gv] = b
	}
	a.table.Store(&t)
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// followNeighbours follows Services and EndpointSlices while there are backends that stand behind some.
func (a *Aggregator) followNeighbours(ctx context.Context) error {
	for {
		for len(*a.table.Load()) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-a.wake:
			}
		}
		if err := a.followWhileNeeded(ctx); err != nil {
			return err
		}
	}
}

var errNotNeeded = errors.New("no service stands behind an APIService")

func (a *Aggregator) followWhileNeeded(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var kinds sync.WaitGroup
	for _, r := range []*api.Resource{all.For[*corev1.Service](), all.For[*discoveryv1.EndpointSlice]()} {
		kinds.Go(func() {
			cancel(guarded(ctx, func(ctx context.Context) error { return a.followKind(ctx, r) }))
		})
	}
	for ctx.Err() == nil && len(*a.table.Load()) > 0 {
		select {
		case <-ctx.Done():
		case <-a.wake:
		}
	}
	cancel(errNotNeeded)
	kinds.Wait()
	if err := context.Cause(ctx); err != errNotNeeded {
		return err
	}
	return nil
}

// followKind has the APIServices looked at whose service, or its endpoints, changed.
func (a *Aggregator) followKind(ctx context.Context, r *api.Resource) error {
	return a.follow(ctx, r, func() func(client.Event) {
		synced := false
		return func(e client.Event) {
			switch {
			case e.Synced():
				synced = true
				a.enqueue(a.behind(nil)...) // whatever was missed while nobody watched
			case synced:
				a.disturb(append(serviceKeys(e.Object), serviceKeys(e.Old)...))
			}
		}
	})
}

// disturb has those APIServices looked at that stand on the services. Connections to
// an endpoint that is no more would be used on, so new ones are made.
func (a *Aggregator) disturb(services []string) {
	if len(services) == 0 {
		return
	}
	names := a.behind(services)
	for _, n := range names {
		if b := a.backend(n); b != nil {
			b.state.Load().link.forget()
			b.docs.expire()
		}
	}
	a.enqueue(names...)
}

// serviceKeys names the services that an object is, or is about.
func serviceKeys(o api.Object) []string {
	switch o := o.(type) {
	case *corev1.Service:
		return []string{o.Namespace + "/" + o.Name}
	case *discoveryv1.EndpointSlice:
		if name := o.Labels[discoveryv1.LabelServiceName]; name != "" {
			return []string{o.Namespace + "/" + name}
		}
	}
	return nil
}

// behind are the names of APIServices that stand on one of the services; nil: on any.
func (a *Aggregator) behind(keys []string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(a.backends)) {
		ref := a.backends[name].state.Load().object.Spec.Service
		if keys == nil || slices.Contains(keys, ref.Namespace+"/"+ref.Name) {
			out = append(out, name)
		}
	}
	return out
}
