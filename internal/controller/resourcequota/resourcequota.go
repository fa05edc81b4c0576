// Package resourcequota keeps status.hard and status.used of ResourceQuotas true.
//
// Creation and growth are charged by the API server in the very transaction that
// writes an object. What is left is to give back: a step counts anew what a quota
// limits, and writes the status on the condition that nothing was charged in between.
// It runs when the quota's spec changes, and when an object goes, ends or counts for another
// amount. Only kinds that some quota counts are followed: a cluster without
// quotas costs one watch.
//
// Read this file, then step.go; the arithmetic is in package api/quota.
package resourcequota

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/quota"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// Name is the name of the controller.
const Name = "resourcequota-controller"

// resync is how often everything is counted anew, for what no event tells (a kind that came later).
const resync = 5 * time.Minute

type counter struct {
	engine *controller.Engine
	rows   func() []*api.Resource
	queue  controller.Queue[controller.Key]

	mu        sync.Mutex
	followed  map[*api.Resource]context.CancelFunc
	followers sync.WaitGroup
}

// Run counts until the context ends. rows are the kinds that there are at the time.
func Run(ctx context.Context, e *controller.Engine, rows func() []*api.Resource) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &counter{engine: e, rows: rows, queue: controller.NewQueue[controller.Key](), followed: map[*api.Resource]context.CancelFunc{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Follow(ctx, all.For[*corev1.ResourceQuota](), client.Selector{}, func() {}, c.quotaChanged); ctx.Err() == nil {
			cancel(err)
		}
	})
	wg.Go(func() { c.tick(ctx) })
	controller.Work(ctx, e, Name, 5, c.queue, func(v controller.View, k controller.Key) (controller.Plan, error) {
		if err := c.follow(ctx, v); err != nil {
			return controller.Plan{}, err
		}
		return step(v, k, rows())
	})
	wg.Wait()
	c.followers.Wait()
	return context.Cause(ctx)
}

// quotaChanged wakes for what people write; what the server charges is true already.
func (c *counter) quotaChanged(_ controller.View, ev client.Event) {
	q := ev.Object.(*corev1.ResourceQuota)
	if old, ok := ev.Old.(*corev1.ResourceQuota); ok && ev.Type == watch.Modified && quota.Current(q) && equality.Semantic.DeepEqual(old.Spec, q.Spec) {
		return
	}
	c.queue.Add(controller.KeyOf(q))
}

func (c *counter) tick(ctx context.Context) {
	t := time.NewTicker(resync)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		quotas, err := client.List[*corev1.ResourceQuota](ctx, c.engine.Client, "", nil)
		if err != nil {
			c.engine.Log.Error("list failed", "controller", Name, "err", err)
			continue
		}
		for _, q := range quotas {
			c.queue.Add(controller.KeyOf(q))
		}
	}
}

// follow begins to follow the kinds that quotas count, and ends for those that none counts any more.
func (c *counter) follow(ctx context.Context, v controller.View) error {
	quotas, err := client.List[*corev1.ResourceQuota](v.Context, v, "", nil)
	if err != nil {
		return err
	}
	wanted := map[*api.Resource]bool{}
	for _, r := range c.rows() {
		for _, q := range quotas {
			if quota.Counted(r) && quota.Looks(q, r) {
				wanted[r] = true
				break
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for r, stop := range c.followed {
		if !wanted[r] {
			stop()
			delete(c.followed, r)
		}
	}
	for r := range wanted {
		if c.followed[r] == nil {
			ctx, stop := context.WithCancel(ctx)
			c.followed[r] = stop
			c.followers.Go(func() { c.followKind(ctx, r) })
		}
	}
	return nil
}

func (c *counter) followKind(ctx context.Context, r *api.Resource) {
	err := c.engine.Follow(ctx, r, client.Selector{}, func() {
		// Objects may have gone between the count and the beginning of the watch, or while it began anew.
		if ctx.Err() == nil {
			c.wakeAll(ctx, r)
		}
	}, func(v controller.View, ev client.Event) { c.changed(v, r, ev) })
	if ctx.Err() != nil {
		return
	}
	c.engine.Log.Error("a kind is not followed until the next step", "controller", Name, "kind", r.GVR.Resource, "err", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.followed, r)
}

func (c *counter) wakeAll(ctx context.Context, r *api.Resource) {
	quotas, err := client.List[*corev1.ResourceQuota](ctx, c.engine.Client, "", nil)
	if err != nil {
		c.engine.Log.Error("list failed", "controller", Name, "err", err)
	}
	for _, q := range quotas {
		if quota.Looks(q, r) {
			c.queue.Add(controller.KeyOf(q))
		}
	}
}

// changed wakes the quotas for which an object counts for less now, or for something else.
func (c *counter) changed(v controller.View, r *api.Resource, ev client.Event) {
	if ev.Type == watch.Added {
		return // charged when it was made
	}
	quotas, err := client.ByIndex[*corev1.ResourceQuota](v.Context, v, quota.IndexNamespace, ev.Object.GetNamespace())
	if err != nil {
		c.engine.Log.Error("look-up failed", "controller", Name, "err", err)
		return
	}
	for _, q := range quotas {
		if !quota.Looks(q, r) || ev.Type == watch.Modified && !differs(q, r, ev, v.Now) {
			continue
		}
		c.queue.Add(controller.KeyOf(q))
	}
	pod, ok := ev.Object.(*corev1.Pod)
	if !ok || ev.Type != watch.Modified {
		return
	}
	// A pod that outstays its grace period stops counting without an event.
	if at := quota.Expires(pod); !at.IsZero() {
		for _, q := range quotas {
			if quota.Looks(q, r) {
				c.queue.AddAfter(controller.KeyOf(q), at.Sub(v.Now))
			}
		}
	}
}

func differs(q *corev1.ResourceQuota, r *api.Resource, ev client.Event, now time.Time) bool {
	if ev.Old == nil {
		return true
	}
	was, is := quota.InScope(q, ev.Old), quota.InScope(q, ev.Object)
	if !was && !is {
		return false
	}
	return was != is || !equality.Semantic.DeepEqual(quota.Usage(r, ev.Old, now), quota.Usage(r, ev.Object, now))
}
