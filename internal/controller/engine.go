package controller

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
)

// Engine runs controllers on a client.
type Engine struct {
	Client client.Client
	Events client.Recorder
	Log    *slog.Logger
	Now    func() time.Time
}

// Queue holds the keys that wait for a step: each at most once, and none worked
// on twice at the same time.
type Queue[K comparable] = workqueue.TypedRateLimitingInterface[K]

// NewQueue makes a queue. What fails waits 5 ms, then twice as long each time.
func NewQueue[K comparable]() Queue[K] {
	return workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[K](5*time.Millisecond, 1000*time.Second))
}

// Run runs one controller until the context ends.
func (e *Engine) Run(ctx context.Context, s Spec) error {
	q := NewQueue[Key]()
	defer q.ShutDown()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	sources := append([]Wake{{On: s.For, Keys: func(_ View, o, _ api.Object) []Key { return []Key{KeyOf(o)} }}}, s.Wakes...)
	var wg sync.WaitGroup
	// Keys are worked on only after every kind was seen once: a step that ran
	// earlier would be right all the same (it reads the store's state), but start-up would do it all twice.
	var synced sync.WaitGroup
	synced.Add(len(sources))
	for _, w := range sources {
		wg.Go(func() {
			err := e.Follow(ctx, w.On, w.Where, sync.OnceFunc(synced.Done), func(v View, ev client.Event) {
				for _, k := range w.Keys(v, ev.Object, ev.Old) {
					q.Add(k)
				}
			})
			if ctx.Err() == nil {
				cancel(fmt.Errorf("controller %s: %w", s.Name, err))
			}
		})
	}
	synced.Wait()
	if s.Every > 0 {
		wg.Go(func() { e.resync(ctx, s, q) })
	}
	Work(ctx, e, s.Name, s.Workers, q, s.Step)
	wg.Wait()
	return context.Cause(ctx)
}

// Follow calls f with every object of a kind that is selected, and then with its changes, until
// the context ends or watching fails. When the watch falls behind, it begins anew with every object:
// deletions may be missed then, so what must not miss one wakes on another kind as well.
// synced is called when all objects there were at the start have been seen, or never will be.
func (e *Engine) Follow(ctx context.Context, r *api.Resource, where client.Selector, synced func(), f func(View, client.Event)) error {
	defer synced()
	for {
		watch, err := e.Client.Watch(ctx, r, "", where, -1)
		if err == nil {
			err = e.drain(ctx, watch, synced, f)
			watch.Close()
		}
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return fmt.Errorf("watch %s: %w", r.GVR.Resource, err)
		}
	}
}

func (e *Engine) drain(ctx context.Context, watch client.Watch, synced func(), f func(View, client.Event)) error {
	for {
		events, err := watch.Next(ctx)
		if err != nil {
			return err
		}
		v := e.view(ctx)
		for _, ev := range events {
			if ev.Synced() {
				synced()
				continue
			}
			f(v, ev)
		}
	}
}

func (e *Engine) resync(ctx context.Context, s Spec, q Queue[Key]) {
	t := time.NewTicker(s.Every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		objects, _, err := e.Client.List(ctx, s.For, "", client.Selector{})
		if err != nil {
			e.Log.Error("list failed", "controller", s.Name, "err", err)
			continue
		}
		for _, o := range objects {
			q.Add(KeyOf(o))
		}
	}
}

// Work takes keys off the queue and runs a step for each, with several workers
// (0: two), until the context ends; then it shuts the queue down.
func Work[K comparable](ctx context.Context, e *Engine, name string, workers int, q Queue[K], step func(View, K) (Plan, error)) {
	stop := context.AfterFunc(ctx, q.ShutDown)
	defer stop()
	if workers == 0 {
		workers = 2
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() { work(ctx, e, name, q, step) })
	}
	wg.Wait()
}

func work[K comparable](ctx context.Context, e *Engine, name string, q Queue[K], step func(View, K) (Plan, error)) {
	for {
		k, down := q.Get()
		if down {
			return
		}
		after, err := run(ctx, e, name, k, step)
		switch {
		case ctx.Err() != nil:
		case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
			// Nothing can be made there any more: trying again is of no use.
			q.Forget(k)
		case err != nil:
			// A conflict is the normal way to learn that somebody was faster.
			if !apierrors.IsConflict(err) {
				e.Log.Error("step failed, will retry", "controller", name, "key", fmt.Sprint(k), "err", err)
			}
			q.AddRateLimited(k)
		default:
			q.Forget(k)
			if after > 0 {
				q.AddAfter(k, after)
			}
		}
		q.Done(k)
	}
}

func (e *Engine) view(ctx context.Context) View {
	return View{Reader: e.Client, Context: ctx, Now: e.Now()}
}

// Step runs one step of a controller, as Run does for each key.
func (e *Engine) Step(ctx context.Context, s Spec, k Key) (after time.Duration, err error) {
	return run(ctx, e, s.Name, k, s.Step)
}

// run runs one step and carries out its plan. A panic fails the key, not the process.
func run[K comparable](ctx context.Context, e *Engine, name string, k K, step func(View, K) (Plan, error)) (after time.Duration, err error) {
	defer recovered(&err)
	plan, err := step(e.view(ctx), k)
	if err != nil {
		return 0, err
	}
	return plan.After, e.do(ctx, name, plan.Do)
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}

func (e *Engine) do(ctx context.Context, name string, actions []Action) error {
	for _, a := range actions {
		result, err := e.act(ctx, name, a)
		var next []Action
		switch {
		case err == nil && a.Then != nil:
			next = a.Then(result)
		case err != nil && a.Else != nil:
			next = a.Else(err)
		case err != nil:
			return err
		}
		if err := e.do(ctx, name, next); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) act(ctx context.Context, name string, a Action) (api.Object, error) {
	row := func(o api.Object) *api.Resource {
		if a.Resource != nil {
			return a.Resource
		}
		return all.Of(o)
	}
	switch {
	case a.Create != nil:
		return e.Client.Create(ctx, row(a.Create), a.Create)
	case a.Update != nil:
		return e.Client.Update(ctx, row(a.Update), a.Update, a.Subresource)
	case a.UpdateStatus != nil:
		return e.Client.Update(ctx, row(a.UpdateStatus), a.UpdateStatus, "status")
	case a.Delete != nil:
		o := a.Delete.Object
		err := e.Client.Delete(ctx, row(o), o.GetNamespace(), o.GetName(), a.Delete.Options)
		if apierrors.IsNotFound(err) {
			err = nil
		}
		return nil, err
	case a.Event != nil:
		e.Events.Record(name, a.Event.About, a.Event.Type, a.Event.Reason, a.Event.Action, a.Event.Message)
	case a.SlowStart != nil:
		return nil, e.slowStart(ctx, name, a.SlowStart)
	}
	return nil, a.Fail
}

func (e *Engine) slowStart(ctx context.Context, name string, actions []Action) error {
	for size := 1; len(actions) > 0; size *= 2 {
		n := min(size, len(actions))
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i, a := range actions[:n] {
			wg.Go(func() {
				defer recovered(&errs[i])
				errs[i] = e.do(ctx, name, []Action{a})
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
		actions = actions[n:]
	}
	return nil
}
