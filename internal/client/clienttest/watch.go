package clienttest

import (
	"context"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client"
)

// change is one revision. The history is kept whole.
type change struct {
	row         *api.Resource
	rev         int64
	kind        watch.EventType
	object, old api.Object
}

func (c *Client) Watch(ctx context.Context, r *api.Resource, namespace string, s client.Selector, after int64) (client.Watch, error) {
	w := &watcher{c: c, row: r, namespace: namespace, selector: s, ctx: ctx, closed: make(chan struct{})}
	if after >= 0 {
		w.after = after
		return w, nil
	}
	objects, rev, err := c.List(ctx, r, namespace, s)
	if err != nil {
		return nil, err
	}
	w.after = rev
	for _, o := range objects {
		w.first = append(w.first, client.Event{Type: watch.Added, Object: o, Rev: rev})
	}
	w.first = append(w.first, client.Event{Type: watch.Bookmark, Rev: rev})
	return w, nil
}

// Expire fails every watch there is with an Expired status at its next call.
func (c *Client) Expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rev++
	c.history = append(c.history, change{rev: c.rev})
	close(c.grown)
	c.grown = make(chan struct{})
}

type watcher struct {
	c         *Client
	row       *api.Resource
	namespace string
	selector  client.Selector
	ctx       context.Context
	after     int64
	at        int // in the history
	first     []client.Event
	once      sync.Once
	closed    chan struct{}
}

func (w *watcher) Close() { w.once.Do(func() { close(w.closed) }) }

func (w *watcher) Next(ctx context.Context) ([]client.Event, error) {
	if f := w.first; f != nil {
		w.first = nil
		return f, nil
	}
	for {
		w.c.mu.Lock()
		news, grown := w.c.history[w.at:], w.c.grown
		w.at = len(w.c.history)
		w.c.mu.Unlock()
		var out []client.Event
		for _, ch := range news {
			if ch.rev <= w.after {
				continue
			}
			if ch.row == nil {
				return nil, apierrors.NewResourceExpired("too old resource version")
			}
			if e, ok := w.event(ch); ok {
				out = append(out, e)
			}
		}
		if len(out) > 0 {
			return out, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-w.ctx.Done():
			return nil, w.ctx.Err()
		case <-w.closed:
			return nil, context.Canceled
		}
	}
}

// event is what a change is to this watcher.
func (w *watcher) event(ch change) (client.Event, bool) {
	if ch.row != w.row {
		return client.Event{}, false
	}
	is, _ := matches(w.row, w.namespace, w.selector, ch.object)
	is = is && ch.kind != watch.Deleted
	was := false
	if ch.old != nil {
		if was, _ = matches(w.row, w.namespace, w.selector, ch.old); w.selector.Tied && ch.kind == watch.Deleted {
			was = w.namespace == "" || ch.old.GetNamespace() == w.namespace
		}
	}
	e := client.Event{Object: ch.object, Old: ch.old, Rev: ch.rev}
	switch {
	case is && was:
		e.Type = watch.Modified
	case is:
		e.Type, e.Old = watch.Added, nil
	case was:
		e.Type = watch.Deleted
		if ch.kind != watch.Deleted {
			e.Object = ch.old
		}
	default:
		return e, false
	}
	return e, true
}
