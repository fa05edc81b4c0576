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
//
// A watch whose owner does not wait (Ready) is told instead, by the transaction itself: to
// wake a goroutine costs more than all else that it does here.
type watch struct {
	x     *Index
	group *group
	done  chan struct{}
	once  sync.Once
	tell  func()

	// Only the caller of Next or Ready touches these, and whoever tells a watch that is in group.idle.
	after int64
	out   []store.Batch
	idle  bool // it is in group.idle
}

// group is all watches of one range.
type group struct {
	from, to string
	members  int // guarded by Index.mu

	mu     sync.Mutex // guards signal against other watches: those hold Index.mu for reading only
	signal *signal    // nil when nobody waits
	idle   []*watch   // which want to be told
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

// beIdle has the watch told of what comes. Index.mu is held for reading.
func (g *group) beIdle(w *watch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.idle = true
	g.idle = append(g.idle, w)
}

// give wakes who waits, and tells who does not. Index.mu is held for writing.
func (g *group) give(rev int64) {
	if g.signal != nil {
		g.signal.rev = rev
		close(g.signal.given)
		g.signal = nil
	}
	for _, w := range g.idle {
		w.idle = false
		w.after = max(w.after, rev-1)
		w.tell()
	}
	clear(g.idle)
	g.idle = g.idle[:0]
}

func (g *group) awaited() bool { return g.signal != nil || len(g.idle) > 0 }

// groups is all ranges that are watched. Index.mu is held for writing.
type groups []*group

func (gs groups) wake(rev int64, changes []change) {
	for _, g := range gs {
		if !g.awaited() {
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
		g.give(0)
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

// Tell says whom to tell.
func (w *watch) Tell(f func()) { w.tell = f }

// Ready is what is there.
func (w *watch) Ready() ([]store.Batch, error) {
	x := w.x
	for {
		select {
		case <-w.done:
			return nil, store.ErrClosed
		default:
		}
		x.mu.RLock()
		if w.idle && x.closed == nil {
			// Nothing in its range has happened since it was found idle.
			defer x.mu.RUnlock()
			return w.upTo(x.current), nil
		}
		more, err := w.look()
		if idle := err == nil && !more && len(w.out) == 0; idle {
			w.group.beIdle(w)
		}
		x.mu.RUnlock()
		if err != nil || len(w.out) > 0 {
			return w.out, err
		}
		if !more {
			return nil, nil
		}
	}
}

// upTo is word that everything up to rev was seen, if that is news.
func (w *watch) upTo(rev int64) []store.Batch {
	clear(w.out)
	if w.out = w.out[:0]; w.after < rev {
		w.after = rev
		w.out = append(w.out, store.Batch{Revision: rev})
	}
	return w.out
}

// step is how many transactions a watch looks at in one hold of the lock: one that
// is far behind must not keep writers out.
const step = 512

// ready returns what is there or, when that is nothing, the signal to wait for;
// neither when there is more to look at.
func (w *watch) ready() ([]store.Batch, *signal, error) {
	w.x.mu.RLock()
	defer w.x.mu.RUnlock()
	switch more, err := w.look(); {
	case err != nil:
		return nil, nil, err
	case len(w.out) > 0:
		return w.out, nil, nil
	case more:
		return nil, nil, nil
	}
	return nil, w.group.wait(), nil
}

// look takes what is there, or a part of it, and tells whether there is more. Index.mu is held.
func (w *watch) look() (more bool, err error) {
	x := w.x
	clear(w.out) // or else it holds on to events
	w.out = w.out[:0]
	if x.closed != nil {
		return false, x.closed
	}
	if w.after < x.compacted.Load() {
		return false, fmt.Errorf("%w: the watch has seen up to %d, the oldest is %d", store.ErrCompacted, w.after, x.compacted.Load())
	}
	for end := min(x.current, w.after+step); w.after < end; {
		w.after++
		w.take(x.log.get(w.after))
	}
	if n := len(w.out); n > 0 && w.out[n-1].Revision < w.after {
		w.out = append(w.out, store.Batch{Revision: w.after})
	}
	return w.after < x.current, nil
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
		w.group.idle = slices.DeleteFunc(w.group.idle, func(o *watch) bool { return o == w })
		w.x.groups.leave(w.group)
	})
}
