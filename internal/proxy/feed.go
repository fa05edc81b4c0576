package proxy

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
)

// batch is what one watch delivered at once.
type batch struct {
	kind   kind
	begin  bool // the watch began anew: every object comes again
	events []client.Event
}

type kind int

const (
	serviceKind kind = iota
	sliceKind
	nodeKind
	kinds
)

// feed follows services, endpoint slices and the node itself, each from its own goroutine, into one channel.
type feed struct {
	batches chan batch
	done    sync.WaitGroup
}

func newFeed(ctx context.Context, c client.Client, node string, log *slog.Logger) *feed {
	f := &feed{batches: make(chan batch, 64)}
	f.follow(ctx, c, serviceKind, all.For[*corev1.Service](), client.Selector{}, log)
	f.follow(ctx, c, sliceKind, all.For[*discoveryv1.EndpointSlice](), client.Selector{}, log)
	f.follow(ctx, c, nodeKind, all.For[*corev1.Node](), client.Selector{Fields: fields.OneTermEqualSelector("metadata.name", node)}, log)
	return f
}

func (f *feed) wait() { f.done.Wait() }

func (f *feed) follow(ctx context.Context, c client.Client, k kind, r *api.Resource, sel client.Selector, log *slog.Logger) {
	f.done.Go(func() {
		retry := firstRetry
		for ctx.Err() == nil {
			got, err := f.watch(ctx, c, k, r, sel)
			if ctx.Err() != nil {
				return
			}
			if got {
				retry = firstRetry
			}
			log.Debug("proxy: watch begins anew", "resource", r.GVR.Resource, "err", err, "after", retry)
			select {
			case <-ctx.Done():
			case <-time.After(retry):
			}
			retry = min(2*retry, lastRetry)
		}
	})
}

// watch runs until the watch fails; it tells if anything had arrived.
func (f *feed) watch(ctx context.Context, c client.Client, k kind, r *api.Resource, sel client.Selector) (bool, error) {
	w, err := c.Watch(ctx, r, "", sel, -1)
	if err != nil {
		return false, err
	}
	defer w.Close()
	for b := (batch{kind: k, begin: true}); ; b = (batch{kind: k}) {
		events, err := w.Next(ctx)
		if err != nil {
			return !b.begin, err
		}
		b.events = slices.Clone(events) // theirs until the next call only
		select {
		case f.batches <- b:
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
}

// intake puts events into the State, and notices what a watch that began anew does not show any more.
type intake struct {
	known  [kinds]map[types.NamespacedName]bool // value: seen since the watch began
	synced [kinds]bool
}

func newIntake() *intake {
	i := &intake{}
	for k := range i.known {
		i.known[k] = map[types.NamespacedName]bool{}
	}
	return i
}

// complete tells if every object has been seen: before that, what is missing
// may only be late, and must not be taken out of the data path. The node need not be there.
func (i *intake) complete() bool { return i.synced[serviceKind] && i.synced[sliceKind] }

func (i *intake) take(s *State, b batch) {
	known := i.known[b.kind]
	if b.begin {
		i.synced[b.kind] = false
		for n := range known {
			known[n] = false
		}
	}
	for _, e := range b.events {
		if e.Synced() {
			i.synced[b.kind] = true
			for n, seen := range known {
				if !seen {
					delete(known, n)
					remove(s, b.kind, n)
				}
			}
			continue
		}
		n := types.NamespacedName{Namespace: e.Object.GetNamespace(), Name: e.Object.GetName()}
		if e.Type == watch.Deleted {
			delete(known, n)
			remove(s, b.kind, n)
			continue
		}
		known[n] = true
		switch o := e.Object.(type) {
		case *corev1.Service:
			s.SetService(o)
		case *discoveryv1.EndpointSlice:
			s.SetSlice(o)
		case *corev1.Node:
			n := s.node
			n.Zone = o.Labels[corev1.LabelTopologyZone]
			s.SetNode(n)
		}
	}
}

func remove(s *State, k kind, n types.NamespacedName) {
	switch k {
	case serviceKind:
		s.DeleteService(n.Namespace, n.Name)
	case sliceKind:
		s.DeleteSlice(n.Namespace, n.Name)
	case nodeKind: // the proxy works on for a node that is not in the API (yet, or again)
	}
}
