package apiserver

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/store"
)

// selector is what a list or a watch asks for.
type selector struct {
	prefix string // of keys
	key    string // the only key, when one name is asked for in one place
	labels labels.Selector
	fields fields.Selector
	shown  bool // objects are seen as a client sees them, converted by whomever (converting.go)
	tied   bool // as client.Selector
}

func newSelector(r *api.Resource, ns string, l labels.Selector, f fields.Selector) selector {
	s := selector{prefix: r.Prefix(ns), labels: l, fields: f}
	if f != nil && (ns != "" || !r.Namespaced) {
		if name, ok := f.RequiresExactMatch("metadata.name"); ok {
			s.key = s.prefix + name
		}
	}
	return s
}

// span is the keys that may match: [from, to).
func (s *selector) span() (from, to string) {
	if s.key != "" {
		return s.key, s.key + "\x00"
	}
	return s.prefix, store.PrefixEnd(s.prefix)
}

func (s *selector) spans(key string) bool {
	if s.key != "" {
		return key == s.key
	}
	return strings.HasPrefix(key, s.prefix)
}

func (s *selector) matches(e *entry) bool {
	if !s.spans(e.key) || s.tied && !e.tied {
		return false
	}
	if s.shown && e.from != "" && s.picky() {
		return s.matchesShown(e)
	}
	if s.labels != nil && !s.labels.Empty() && !s.labels.Matches(e.labels) {
		return false
	}
	return s.fields == nil || s.fields.Empty() || s.fields.Matches(objectFields{e})
}

// unknownField says that a kind does not offer a field.
//
// compat: kinds that offer some of their own say so in other words, and two of them in words of their own.
func unknownField(r *api.Resource, field string) string {
	own := r.Custom != nil
	for name := range r.Fields {
		own = own || name != "metadata.name" && name != "metadata.namespace"
	}
	switch {
	case !own:
		return fmt.Sprintf("%q is not a known field selector: only \"metadata.name\", \"metadata.namespace\"", field)
	case r.GVK.Kind == "Job":
		return fmt.Sprintf("field label %q not supported for Job", field)
	case r.GVK.Kind == "ResourceSlice":
		return fmt.Sprintf("field label not supported for %s: %s", r.GVK, field)
	}
	return "field label not supported: " + field
}

// checkFields refuses a field selector on a field that the kind does not offer.
func checkFields(r *api.Resource, s fields.Selector) error {
	if s == nil {
		return nil
	}
	for _, req := range s.Requirements() {
		if r.Fields[req.Field] == nil {
			return apierrors.NewBadRequest(unknownField(r, req.Field))
		}
		if req.Operator != selection.Equals && req.Operator != selection.DoubleEquals && req.Operator != selection.NotEquals {
			return apierrors.NewBadRequest(fmt.Sprintf("%q is not a valid field selector operator", req.Operator))
		}
	}
	return nil
}

// watcher is a cursor into a cache's events, or, where it is behind them, into the
// store's history. Only its owner calls ready and next; the feed calls concerns and wake.
type watcher struct {
	// What is looked at for every event is together, as in stream.

	// pending is the first event that concerns this watcher and is not looked at, at revision pendingRev; none:
	// there is nothing since the last look. So events of no concern may be trimmed while the watcher sleeps. Guarded by cache.mu.
	pending, pendingRev int64
	seq                 int64 // of the event to look at next
	// from is where the watch began, which may be yet to come; after is the revision up to
	// which everything was told: where a watch that lost its place goes on.
	from, after int64
	past        bool // there is no such event yet: the store's history comes first
	sure        bool // the first event taken last concerns this watcher
	closed      bool // guarded by cache.mu
	choosy      bool // wants less than what is in its place
	// pump sends what happens as long as nobody has to wait; nil: only the handler of stream does. Guarded by cache.mu.
	pump   *pump
	stream *stream
	line   uint64 // of stream
	c      *cache

	place int // in the set of watchers that it is in; guarded by cache.mu
	woken chan struct{}
	sel   selector
	// exact is a field requirement with one wanted value ("spec.nodeName=a"); the feed
	// wakes the watcher only for objects that have it, or had it.
	exact      fieldRef
	exactValue string
}

const none = -1

// told is one event as a watcher's client gets it.
type told struct {
	kind watch.EventType
	e    *entry
	ch   *change
}

// watchFrom begins a watch after revision rev, which may be past, or to come.
func (c *cache) watchFrom(sel selector, rev int64) (*watcher, error) {
	w := c.newWatcher(sel)
	c.mu.Lock()
	defer c.mu.Unlock()
	w.from, w.after = rev, rev
	if w.past = rev < c.base; !w.past {
		w.seq = c.seqAfter(rev)
	} else if _, oldest := c.feed.store.Revision(); rev < oldest {
		return nil, tooOld(rev, oldest)
	}
	w.pending, w.pendingRev = w.seq, rev+1
	c.watchers.add(w)
	return w, nil
}

// seqAfter is the first event after a revision that is not below base.
func (c *cache) seqAfter(rev int64) int64 {
	return c.first + int64(sort.Search(len(c.events), func(i int) bool { return c.events[i].rev > rev }))
}

// watchAll begins a watch with what is there now: the entries, and the watch
// that goes on from exactly that state.
func (c *cache) watchAll(sel selector) ([]*entry, *watcher) {
	w := c.newWatcher(sel)
	c.mu.Lock()
	w.seq = c.first + int64(len(c.events))
	w.after, w.pending = c.base, none
	if n := len(c.events); n > 0 {
		w.after = c.events[n-1].rev
	}
	c.watchers.add(w)
	tree := c.tree.Copy()
	c.mu.Unlock()
	var out []*entry
	scan(tree, &sel, "", func(e *entry) bool {
		if sel.shown || sel.matches(e) { // converting.go says which of them match
			out = append(out, e)
		}
		return true
	})
	return out, w
}

func (c *cache) newWatcher(sel selector) *watcher {
	w := &watcher{c: c, sel: sel, woken: make(chan struct{}, 1), exact: noField}
	if sel.fields != nil && sel.key == "" {
		for _, req := range sel.fields.Requirements() {
			f := fieldOf(c.res, req.Field)
			if sel.shown && f != nameField && f != namespaceField {
				continue // the feed does not know what the client will see
			}
			if f != noField && req.Operator != selection.NotEquals {
				w.exact, w.exactValue = f, req.Value
				break
			}
		}
	}
	w.choosy = sel.tied || w.exact != noField
	return w
}

// errRetired ends watches of a kind that is another one now. Parts in this process that
// follow the kind list anew.
var errRetired = apierrors.NewResourceExpired("the definition of the kind has changed")

func tooOld(rev, oldest int64) error {
	return apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", rev, oldest))
}

// concerns is a cheap test that may say yes too often, never no too often.
func (w *watcher) concerns(ch *change) bool {
	return w.sel.spans(ch.key()) && w.minds(ch)
}

// minds is concerns for objects that are in the watcher's place.
func (w *watcher) minds(ch *change) bool {
	if !w.choosy {
		return true
	}
	if w.sel.tied && ch.now != nil && !ch.now.tied && (ch.old == nil || !ch.old.tied) {
		return false
	}
	if w.exact == noField {
		return true
	}
	return ch.now != nil && w.exact.of(ch.now) == w.exactValue || ch.old != nil && w.exact.of(ch.old) == w.exactValue
}

// wake tells of the first event of concern since the last look. cache.mu is held for writing. It tells
// whether it is the pump that has to know.
func (w *watcher) wake(seq, rev int64) (pumped bool) {
	w.pending, w.pendingRev = seq, rev
	if w.pump != nil {
		return true
	}
	w.poke()
	return false
}

// usePump has the pump send what happens from here on, where it can.
func (w *watcher) usePump(p *pump, st *stream) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.pump, w.stream, w.line = p, st, st.out.Line()
}

// poke wakes the handler.
func (w *watcher) poke() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

func (w *watcher) close() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if !w.closed {
		w.closed = true
		w.c.watchers.drop(w)
	}
}

// ready returns the events that are there, without waiting.
func (w *watcher) ready(ctx context.Context) ([]told, error) {
	for {
		changes, past, err := w.take(math.MaxInt)
		if err != nil {
			return nil, err
		}
		if past {
			out, err := w.readPast(ctx)
			if err != nil || len(out) > 0 {
				return out, err
			}
			continue
		}
		if err := convertEntries(w.strangers(changes)); err != nil {
			return nil, err
		}
		return w.tellAll(changes), nil
	}
}

// take returns the events that were not looked at, unless there are more than most, or says that the past must be read first.
func (w *watcher) take(most int) (changes []*change, past bool, err error) {
	c := w.c
	// Only the owner and the feed, which holds mu for writing, touch pending.
	c.mu.RLock()
	defer c.mu.RUnlock()
	if w.pending == none && c.retired {
		return nil, false, errRetired // nothing is left to tell
	}
	if w.pending == none {
		return nil, false, nil
	}
	if len(c.events)-int(max(w.pending, w.seq)-c.first) > most {
		return nil, false, errMany
	}
	if !w.past && w.pending > w.seq {
		// What is between was of no concern.
		w.seq, w.after = w.pending, max(w.after, w.pendingRev-1)
	}
	if w.past || w.seq < c.first {
		if w.past = w.after < c.base; w.past {
			return nil, true, nil
		}
		w.seq = c.seqAfter(w.after)
	}
	// The array behind the slice is only ever appended to, or left for a new one.
	changes = c.events[w.seq-c.first:]
	w.sure = w.seq == w.pending
	if n := len(changes); n > 0 {
		w.seq += int64(n)
		w.after = max(w.after, changes[n-1].rev)
	}
	w.pending = none
	return changes, false, nil
}

// errMany: there is more than was asked for.
var errMany = errors.New("many events")

func (w *watcher) tellAll(changes []*change) []told {
	var out []told
	for _, ch := range changes {
		if ch.rev <= w.from {
			continue // the watch begins at a revision that was yet to come
		}
		if t, ok := w.tell(ch); ok {
			out = append(out, t)
		}
	}
	return out
}

// tell turns a change into what this watcher's client sees of it, if anything.
func (w *watcher) tell(ch *change) (told, bool) {
	if !w.concerns(ch) {
		return told{}, false
	}
	is := ch.now != nil && w.sel.matches(ch.now)
	was := ch.old != nil && (w.sel.matches(ch.old) || w.sel.tied && ch.now == nil)
	switch {
	case is && was:
		return told{watch.Modified, ch.now, ch}, true
	case is:
		return told{watch.Added, ch.now, ch}, true
	case was:
		// It is gone or stopped matching: the client gets its last matching state, at this revision.
		return told{watch.Deleted, ch.last(), ch}, true
	}
	return told{}, false
}

// next waits for at least one event.
func (w *watcher) next(ctx context.Context) ([]told, error) {
	for {
		out, err := w.ready(ctx)
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
