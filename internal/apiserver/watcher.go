package apiserver

import (
	"context"
	"fmt"
	"sort"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api"
)

// selector is what a list or a watch asks for.
type selector struct {
	prefix string // of keys
	labels labels.Selector
	fields fields.Selector
}

func (s *selector) matches(e *entry) bool {
	if !strings.HasPrefix(e.key, s.prefix) {
		return false
	}
	if s.labels != nil && !s.labels.Empty() && !s.labels.Matches(labels.Set(e.obj.GetLabels())) {
		return false
	}
	return s.fields == nil || s.fields.Empty() || s.fields.Matches(objectFields{e})
}

// objectFields offers an object's selectable fields by name, without a map per object.
type objectFields struct{ e *entry }

func (f objectFields) Has(field string) bool { return f.e.res.Fields[field] != nil }
func (f objectFields) Get(field string) string {
	get := f.e.res.Fields[field]
	if get == nil {
		return ""
	}
	return get(f.e.obj)
}

// checkFields refuses a field selector on a field that the kind does not offer.
func checkFields(r *api.Resource, s fields.Selector) error {
	if s == nil {
		return nil
	}
	for _, req := range s.Requirements() {
		if r.Fields[req.Field] == nil {
			if r.GVR.Group == "" {
				return apierrors.NewBadRequest(fmt.Sprintf("field label not supported: %s", req.Field))
			}
			return apierrors.NewBadRequest(fmt.Sprintf("%q is not a known field selector: only \"metadata.name\", \"metadata.namespace\"", req.Field))
		}
		if req.Operator != selection.Equals && req.Operator != selection.DoubleEquals && req.Operator != selection.NotEquals {
			return apierrors.NewBadRequest(fmt.Sprintf("%q is not a valid field selector operator", req.Operator))
		}
	}
	return nil
}

// watcher is a cursor into a cache's events. Only its owner calls next; the feed calls concerns and wake.
type watcher struct {
	c     *cache
	sel   selector
	seq   int64 // of the next event to look at
	woken chan struct{}
	// exact is a field requirement with one wanted value ("spec.nodeName=a"); the feed
	// wakes the watcher only for objects that have it, or had it.
	exact      func(api.Object) string
	exactValue string
}

// told is one event as a watcher's client gets it.
type told struct {
	kind watch.EventType
	e    *entry
	old  *entry
	rev  int64
}

// watchFrom begins a watch after revision rev.
func (c *cache) watchFrom(sel selector, rev int64) (*watcher, error) {
	w := c.newWatcher(sel)
	c.mu.Lock()
	defer c.mu.Unlock()
	if rev < c.base {
		return nil, tooOld(rev, c.base)
	}
	i := sort.Search(len(c.events), func(i int) bool { return c.events[i].rev > rev })
	w.seq = c.first + int64(i)
	c.watchers[w] = struct{}{}
	return w, nil
}

// watchAll begins a watch with what is there now: the entries, and the watch
// that goes on from exactly that state.
func (c *cache) watchAll(sel selector) ([]*entry, *watcher) {
	w := c.newWatcher(sel)
	c.mu.Lock()
	w.seq = c.first + int64(len(c.events))
	c.watchers[w] = struct{}{}
	tree := c.tree.Copy()
	c.mu.Unlock()
	var out []*entry
	scan(tree, sel.prefix, "", func(e *entry) bool {
		if sel.matches(e) {
			out = append(out, e)
		}
		return true
	})
	return out, w
}

func (c *cache) newWatcher(sel selector) *watcher {
	w := &watcher{c: c, sel: sel, woken: make(chan struct{}, 1)}
	if sel.fields != nil {
		for _, req := range sel.fields.Requirements() {
			if req.Operator != selection.NotEquals && c.res.Fields[req.Field] != nil {
				w.exact, w.exactValue = c.res.Fields[req.Field], req.Value
				break
			}
		}
	}
	return w
}

func tooOld(rev, base int64) error {
	return apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", rev, base))
}

// concerns is a cheap test that may say yes too often, never no too often.
func (w *watcher) concerns(ch *change) bool {
	e := ch.now
	if e == nil {
		e = ch.old
	}
	if !strings.HasPrefix(e.key, w.sel.prefix) {
		return false
	}
	if w.exact == nil {
		return true
	}
	return ch.now != nil && w.exact(ch.now.obj) == w.exactValue || ch.old != nil && w.exact(ch.old.obj) == w.exactValue
}

func (w *watcher) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

func (w *watcher) close() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	delete(w.c.watchers, w)
}

// ready returns the events that are there, without waiting.
func (w *watcher) ready() ([]told, error) {
	w.c.mu.RLock()
	if w.seq < w.c.first {
		base := w.c.base
		w.c.mu.RUnlock()
		return nil, apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: the watch fell behind (%d)", base))
	}
	// The array behind the slice is only ever appended to, or left for a new one.
	changes := w.c.events[w.seq-w.c.first:]
	w.c.mu.RUnlock()
	w.seq += int64(len(changes))
	var out []told
	for i := range changes {
		if t, ok := w.tell(&changes[i]); ok {
			out = append(out, t)
		}
	}
	return out, nil
}

// tell turns a change into what this watcher's client sees of it, if anything.
func (w *watcher) tell(ch *change) (told, bool) {
	if !w.concerns(ch) {
		return told{}, false
	}
	is := ch.now != nil && w.sel.matches(ch.now)
	was := ch.old != nil && w.sel.matches(ch.old)
	switch {
	case is && was:
		return told{watch.Modified, ch.now, ch.old, ch.rev}, true
	case is:
		return told{watch.Added, ch.now, ch.old, ch.rev}, true
	case was && ch.now == nil:
		return told{watch.Deleted, ch.gone, ch.old, ch.rev}, true
	case was:
		// It stopped matching: the client gets its last matching state, at this revision.
		last := &entry{res: ch.old.res, key: ch.old.key, obj: ch.old.obj.DeepCopyObject().(api.Object), value: ch.old.value, raw: ch.old.raw}
		last.publish(ch.rev)
		return told{watch.Deleted, last, ch.old, ch.rev}, true
	}
	return told{}, false
}

// next waits for at least one event.
func (w *watcher) next(ctx context.Context) ([]told, error) {
	for {
		out, err := w.ready()
		if err != nil || len(out) > 0 {
			return out, err
		}
		select {
		case <-w.woken:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
