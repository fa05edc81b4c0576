package index

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/skiff-k8s/skiff/internal/store"
)

// A watch is a cursor into the log. When it has nothing to read it takes the
// signal of its range: one channel for all that wait for the same range, closed
// by the first transaction that touches it. So a write costs one comparison for each range
// that somebody waits for, however many they are; whoever is slow costs nothing.
//
// While a watch waits, nothing in its range happens: its cursor may be far behind
// in revisions, and even behind the compacted one, without having missed anything. The signal
// tells the revision that it was given at, and the cursor jumps there.
type watch struct {
	x     *Index
	group *group
	done  chan struct{}
	once  sync.Once

	// Only the caller of Next touches these.
	after int64
	out   []store.Batch
}

// group is all watches of one range.
type group struct {
	from, to string
	members  int // guarded by Index.mu

	mu     sync.Mutex // guards signal against other watches: those hold Index.mu for reading only
	signal *signal    // nil when nobody waits
}

type signal struct {
	rev   int64 // of the transaction that gave it; 0: the index closed
	given chan struct{}
}

func (g *group) inside(key string) bool { return key >= g.from && key < g.to }

// wait joins those who wait. Index.mu is held for reading, so that no transaction comes between.
func (g *group) wait() *signal {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.signal == nil {
		g.signal = &signal{given: make(chan struct{})}
	}
	return g.signal
}

func (g *group) give(rev int64) {
	g.signal.rev = rev
	close(g.signal.given)
	g.signal = nil
}

// groups is all ranges that are watched. Index.mu is held for writing.
type groups []*group

func (gs groups) wake(rev int64, changes []change) {
	for _, g := range gs {
		if g.signal == nil {
			continue
		}
		for i := range changes {
			if g.inside(changes[i].key) {
				g.give(rev)
				break
			}
		}
	}
}

func (gs groups) wakeAll() {
	for _, g := range gs {
		if g.signal != nil {
			g.give(0)
		}
	}
}

func (gs *groups) join(from, to string) *group {
	for _, g := range *gs {
		if g.from == from && g.to == to {
			g.members++
			return g
		}
	}
	g := &group{from: from, to: to, members: 1}
	*gs = append(*gs, g)
	return g
}

func (gs *groups) leave(g *group) {
	if g.members--; g.members == 0 {
		*gs = slices.DeleteFunc(*gs, func(o *group) bool { return o == g })
	}
}

// Watch delivers what is written to [from, to) after revision rev (0: after now).
func (x *Index) Watch(from, to string, rev int64) (store.Watch, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	rev, err := x.readable(rev)
	if err != nil {
		return nil, err
	}
	return &watch{x: x, group: x.groups.join(from, to), after: rev, done: make(chan struct{})}, nil
}

func (w *watch) Next(ctx context.Context) ([]store.Batch, error) {
	for {
		select {
		case <-w.done:
			return nil, store.ErrClosed
		default:
		}
		out, sig, err := w.ready()
		if err != nil || len(out) > 0 {
			return out, err
		}
		if sig == nil {
			continue
		}
		select {
		case <-sig.given:
			w.jump(sig)
		case <-w.done:
			return nil, store.ErrClosed
		case <-ctx.Done():
			w.stopWaiting(sig)
			return nil, ctx.Err()
		}
	}
}

// step is how many transactions a watch looks at in one hold of the lock: one that
// is far behind must not keep writers out.
const step = 512

// ready returns what is there or, when that is nothing, the signal to wait for;
// neither when there is more to look at.
func (w *watch) ready() ([]store.Batch, *signal, error) {
	x := w.x
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.closed != nil {
		return nil, nil, x.closed
	}
	if w.after < x.compacted.Load() {
		return nil, nil, fmt.Errorf("%w: the watch has seen up to %d, the oldest is %d", store.ErrCompacted, w.after, x.compacted.Load())
	}
	clear(w.out) // or else it holds on to events
	w.out = w.out[:0]
	for end := min(x.current, w.after+step); w.after < end; {
		w.after++
		w.take(x.log.get(w.after))
	}
	if n := len(w.out); n > 0 {
		if w.out[n-1].Revision < w.after {
			w.out = append(w.out, store.Batch{Revision: w.after})
		}
		return w.out, nil, nil
	}
	if w.after < x.current {
		return nil, nil, nil
	}
	return nil, w.group.wait(), nil
}

func (w *watch) take(t *txn) {
	mine := 0
	for i := range t.changes {
		if w.group.inside(t.changes[i].key) {
			mine++
		}
	}
	switch mine {
	case 0:
	case len(t.changes):
		w.out = append(w.out, *t.shared(w.after))
	default:
		w.out = append(w.out, t.cut(w.after, w.group.inside))
	}
}

// jump passes over what came while the watch waited: none of it was in its range.
func (w *watch) jump(sig *signal) {
	if sig.rev > w.after {
		w.after = sig.rev - 1
	}
}

// stopWaiting is jump for a wait that was given up.
func (w *watch) stopWaiting(sig *signal) {
	w.x.mu.RLock()
	defer w.x.mu.RUnlock()
	select {
	case <-sig.given:
		w.jump(sig)
	default:
		w.after = w.x.current
	}
}

func (w *watch) Close() {
	w.once.Do(func() {
		close(w.done)
		w.x.mu.Lock()
		defer w.x.mu.Unlock()
		w.x.groups.leave(w.group)
	})
}
