// Package garbagecollector deletes what has lost its owners, and carries out
// deletions in the foreground and with orphans.
//
// It follows every kind, and remembers of each object that has owners only who
// they are (graph.go): enough to find the dependents of an owner. Whether an
// owner is there is never remembered: a step looks it up, and compares UIDs.
// step.go decides, and nothing is deleted but under the UID and the revision that were looked at.
package garbagecollector

import (
	"context"
	"slices"
	"sync"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// Name is the name of the controller.
const Name = "garbage-collector-controller"

// Run collects garbage until the context ends. rows are the kinds there are; a
// value from changed (nil: never) tells that they are others now.
func Run(ctx context.Context, e *controller.Engine, rows func() []*api.Resource, changed <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &collector{engine: e, rows: rows, graph: newGraph(), queue: controller.NewQueue[ID](), followed: map[*api.Resource]context.CancelFunc{}}
	c.follow(ctx).Wait()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
				c.follow(ctx)
				// What was kept because its owner's kind was not known is looked at again.
				for _, id := range c.graph.all() {
					c.queue.Add(id)
				}
			}
		}
	})
	controller.Work(ctx, e, Name, 5, c.queue, c.step)
	wg.Wait()
	c.followers.Wait()
	return ctx.Err()
}

type collector struct {
	engine    *controller.Engine
	rows      func() []*api.Resource
	graph     *graph
	queue     controller.Queue[ID]
	followed  map[*api.Resource]context.CancelFunc
	followers sync.WaitGroup
}

// follow begins to follow the kinds that are new and ends for those that are
// gone. The group it returns waits until the new ones have been seen once.
func (c *collector) follow(ctx context.Context) *sync.WaitGroup {
	rows := slices.DeleteFunc(slices.Clone(c.rows()), func(r *api.Resource) bool { return !collectable(r) })
	for r, stop := range c.followed {
		if !slices.Contains(rows, r) {
			stop()
			delete(c.followed, r)
			c.graph.forget(r)
		}
	}
	var synced sync.WaitGroup
	for _, r := range rows {
		if c.followed[r] != nil {
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		c.followed[r] = stop
		synced.Add(1)
		c.followers.Go(func() {
			err := c.engine.Follow(ctx, r, client.Selector{Tied: true}, sync.OnceFunc(synced.Done), func(_ controller.View, ev client.Event) {
				for _, id := range c.graph.observe(r, ev, c.rowOf) {
					c.queue.Add(id)
				}
			})
			// A kind that is gone is followed no more, whoever hears of that first.
			if ctx.Err() == nil && slices.Contains(c.rows(), r) {
				c.engine.Log.Error("a kind is not followed any more", "controller", Name, "err", err)
			}
		})
	}
	return &synced
}

// collectable leaves out what is not stored, and events, which are many and have no owners.
func collectable(r *api.Resource) bool {
	return !r.Virtual && r.GVK.Kind != "Event" && slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "watch") && slices.Contains(r.Verbs, "delete")
}

// rowOf finds the kind that an owner reference names, in whatever version.
func (c *collector) rowOf(group, kind string) *api.Resource {
	for _, r := range c.rows() {
		if r.GVK.Kind == kind && r.GVK.Group == group {
			return r
		}
	}
	return nil
}
