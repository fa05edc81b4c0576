package controller

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

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

// Run runs one controller until the context ends.
func (e *Engine) Run(ctx context.Context, s Spec) error {
	q := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[Key](5*time.Millisecond, 1000*time.Second))
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
			if err := e.follow(ctx, w, q, sync.OnceFunc(synced.Done)); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("controller %s: watch %s: %w", s.Name, w.On.GVR.Resource, err))
			}
		})
	}
	stop := context.AfterFunc(ctx, q.ShutDown)
	defer stop()
	seen := make(chan struct{})
	go func() { synced.Wait(); close(seen) }()
	select {
	case <-seen:
	case <-ctx.Done():
	}
	workers := s.Workers
	if workers == 0 {
		workers = 2
	}
	for range workers {
		wg.Go(func() { e.work(ctx, s, q) })
	}
	if s.Every > 0 {
		wg.Go(func() { e.resync(ctx, s, q) })
	}
	wg.Wait()
	return context.Cause(ctx)
}

type queue = workqueue.TypedRateLimitingInterface[Key]

// follow turns the changes of a kind into keys, from a list on and again from a
// list whenever the watch falls behind.
func (e *Engine) follow(ctx context.Context, w Wake, q queue, synced func()) error {
	defer synced()
	for {
		watch, err := e.Client.Watch(ctx, w.On, "", client.Selector{}, -1)
		if err != nil {
			return err
		}
		err = e.drain(ctx, watch, w, q, synced)
		watch.Close()
		if err != nil && !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return err
		}
	}
}

func (e *Engine) drain(ctx context.Context, watch client.Watch, w Wake, q queue, synced func()) error {
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
			for _, k := range w.Keys(v, ev.Object, ev.Old) {
				q.Add(k)
			}
		}
	}
}

func (e *Engine) resync(ctx context.Context, s Spec, q queue) {
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

func (e *Engine) work(ctx context.Context, s Spec, q queue) {
	for {
		k, down := q.Get()
		if down {
			return
		}
		after, err := e.step(ctx, s, k)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			// A conflict is the normal way to learn that somebody was faster.
			if !apierrors.IsConflict(err) {
				e.Log.Error("step failed, will retry", "controller", s.Name, "namespace", k.Namespace, "name", k.Name, "err", err)
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

// step runs one step and carries out its plan. A panic fails the key, not the process.
func (e *Engine) step(ctx context.Context, s Spec, k Key) (after time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	plan, err := s.Step(e.view(ctx), k)
	if err != nil {
		return 0, err
	}
	return plan.After, e.do(ctx, s, plan.Do)
}

func (e *Engine) do(ctx context.Context, s Spec, actions []Action) error {
	for _, a := range actions {
		result, err := e.act(ctx, s, a)
		var next []Action
		switch {
		case err == nil && a.Then != nil:
			next = a.Then(result)
		case err != nil && a.Else != nil:
			next = a.Else(err)
		case err != nil:
			return err
		}
		if err := e.do(ctx, s, next); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) act(ctx context.Context, s Spec, a Action) (api.Object, error) {
	switch {
	case a.Create != nil:
		return e.Client.Create(ctx, all.Of(a.Create), a.Create)
	case a.Update != nil:
		return e.Client.Update(ctx, all.Of(a.Update), a.Update, "")
	case a.UpdateStatus != nil:
		return e.Client.Update(ctx, all.Of(a.UpdateStatus), a.UpdateStatus, "status")
	case a.Delete != nil:
		o := a.Delete.Object
		err := e.Client.Delete(ctx, all.Of(o), o.GetNamespace(), o.GetName(), a.Delete.Options)
		if apierrors.IsNotFound(err) {
			err = nil
		}
		return nil, err
	case a.Event != nil:
		e.Events.Record(s.Name, a.Event.About, a.Event.Type, a.Event.Reason, a.Event.Action, a.Event.Message)
	}
	return nil, nil
}
