package apiserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/store"
)

// registryPrefix is what all keys of API objects start with.
const registryPrefix = "/registry/"

// feed carries the store's sequence into the caches: one at a time, in one order for all
// kinds. A writer carries its own write over, with all before it, or waits here until
// somebody else has done it: that is what makes a write visible to its writer when the call returns. To
// wake another goroutine for that would take longer than the work does. What nobody here
// wrote, run carries over.
//
// Invariant: what the store has told of (behind) is carried over by who has the turn, or
// by who gets it next: each looks again after it gave the turn back.
type feed struct {
	store   store.Store
	applied atomic.Int64
	times   revisionTimes
	// define makes the kinds anew when their definitions change, just before that is seen.
	define func(ctx context.Context, rev int64, writes []write) error

	turn   sync.Mutex // who carries
	ctx    context.Context
	watch  store.Watch       // nil before run, and after it
	caches map[string]*cache // by Storage of the kind

	behind  atomic.Bool   // the store has more
	writers atomic.Int32  // who will carry what they write
	woken   chan struct{} // run has to look

	mu      sync.Mutex
	waiting []waiter // in no order; there are as many as writers in flight
	failed  error
	// progress is closed and replaced when applied moves while somebody waits for bookmarks.
}

type waiter struct {
	rev  int64
	done chan struct{}
}

// storageOf is the part of a key that names the kind. It is one segment, or two
// where upstream's layout has two.
func (f *feed) cacheOf(key string) *cache {
	rest := key[len(registryPrefix):]
	i := strings.IndexByte(rest, '/')
	if i < 0 {
		return nil
	}
	if c := f.caches[rest[:i]]; c != nil {
		return c
	}
	j := strings.IndexByte(rest[i+1:], '/')
	if j < 0 {
		return nil
	}
	return f.caches[rest[:i+1+j]]
}

// setCaches makes the caches of these kinds those that the feed carries writes into.
func (f *feed) setCaches(k *kinds) {
	f.caches = make(map[string]*cache, len(k.caches))
	for r, c := range k.caches {
		if r == r.Main() {
			f.caches[r.Storage] = c
		}
	}
}

// load fills the caches from the store and returns the watch that goes on from there.
func (f *feed) load(ctx context.Context) (store.Watch, error) {
	from, to := registryPrefix, store.PrefixEnd(registryPrefix)
	page, err := f.store.Range(ctx, from, to, 0, 0)
	if err != nil {
		return nil, err
	}
	for _, kv := range page.KVs {
		c := f.cacheOf(kv.Key)
		if c == nil {
			continue
		}
		e, err := f.entry(c.res, kv)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kv.Key, err)
		}
		c.load(e)
	}
	for _, c := range f.caches {
		c.base, c.feed = page.Revision, f
	}
	f.applied.Store(page.Revision)
	if err := f.define(ctx, page.Revision, nil); err != nil {
		return nil, err
	}
	return f.store.Watch(ctx, from, to, page.Revision)
}

func (f *feed) entry(r *api.Resource, kv store.KV) (*entry, error) {
	if e, ok := kv.Ref.(*entry); ok && e.res == r {
		if e.rev == 0 {
			e.publish(kv.Mod)
		}
		return e, nil
	}
	return readEntry(r, kv.Key, kv.Value, kv.Mod)
}

// run carries over what nobody else does, until the context ends or the store fails.
func (f *feed) run(ctx context.Context, w store.Watch) error {
	w.Tell(func() {
		f.behind.Store(true)
		if f.writers.Load() == 0 {
			f.wake()
		}
	})
	f.turn.Lock()
	f.ctx, f.watch = ctx, w
	f.turn.Unlock()
	f.behind.Store(true)
	f.carry()
	for f.health() == nil {
		select {
		case <-f.woken:
			f.carry()
		case <-ctx.Done():
			f.fail(ctx.Err())
		}
	}
	f.turn.Lock()
	defer f.turn.Unlock()
	f.watch = nil
	w.Close()
	if err := f.health(); ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
		return err
	}
	return nil
}

func (f *feed) wake() {
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

// commit runs a transaction and returns when it is in the caches; with a conflict, when what it
// conflicts with is.
func (f *feed) commit(ctx context.Context, txn store.Txn) (int64, error) {
	f.writers.Add(1)
	defer func() {
		if f.writers.Add(-1) == 0 && f.behind.Load() {
			f.wake()
		}
	}()
	rev, err := f.store.Commit(ctx, txn)
	if f.applied.Load() < rev {
		f.carry()
		if werr := f.wait(ctx, rev); werr != nil {
			err = werr
		}
	}
	return rev, err
}

// maxTurns is how often one writer looks for what others have written meanwhile.
const maxTurns = 8

// carry applies what there is, unless somebody else is at it and will find it.
func (f *feed) carry() {
	for n := 0; f.behind.Load(); n++ {
		if n == maxTurns {
			f.wake() // the rest is run's
			return
		}
		if !f.turn.TryLock() {
			return
		}
		f.round()
	}
}

// round applies what there is, and gives the turn back.
func (f *feed) round() {
	defer f.turn.Unlock()
	f.behind.Store(false)
	if f.watch == nil || f.health() != nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			// The caches are in no state that anybody may see.
			f.fail(fmt.Errorf("panic: %v", p))
			panic(p)
		}
	}()
	for range maxTurns {
		batches, err := f.watch.Ready()
		for _, b := range batches {
			if err = f.apply(f.ctx, b); err != nil {
				break
			}
			f.advance(b.Revision)
		}
		if err != nil {
			f.fail(err)
		}
		if err != nil || len(batches) == 0 {
			return
		}
	}
	f.behind.Store(true)
}

// apply carries a transaction into the caches, into each of them at once.
func (f *feed) apply(ctx context.Context, b store.Batch) error {
	for len(b.Events) > 0 {
		var writes []write
		var rest []store.Event
		c := f.cacheOf(b.Events[0].KV.Key)
		for _, ev := range b.Events {
			if f.cacheOf(ev.KV.Key) != c {
				rest = append(rest, ev)
				continue
			}
			w := write{key: ev.KV.Key}
			if c != nil && !ev.Deleted {
				var err error
				if w.now, err = f.entry(c.res, ev.KV); err != nil {
					return fmt.Errorf("%s: %w", ev.KV.Key, err)
				}
			}
			writes = append(writes, w)
		}
		if c != nil {
			if c.res == definitionRow() {
				// Before it is seen: who sees that a definition is established finds its kind served.
				if err := f.define(ctx, b.Revision, writes); err != nil {
					return err
				}
			}
			c.apply(b.Revision, writes)
			if err := f.applyVersions(c, b); err != nil {
				return err
			}
		}
		b.Events = rest
	}
	return nil
}

// applyVersions carries the events of a kind into the caches of its other versions.
func (f *feed) applyVersions(c *cache, b store.Batch) error {
	for _, v := range c.versions {
		var writes []write
		for _, ev := range b.Events {
			if f.cacheOf(ev.KV.Key) != c {
				continue
			}
			w := write{key: ev.KV.Key}
			if !ev.Deleted {
				var err error
				if w.now, err = f.entry(v.res, ev.KV); err != nil {
					return fmt.Errorf("%s: %w", ev.KV.Key, err)
				}
			}
			writes = append(writes, w)
		}
		v.apply(b.Revision, writes)
	}
	return nil
}

func (f *feed) advance(rev int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied.Store(rev)
	f.times.note(rev, time.Now())
	f.waiting = slices.DeleteFunc(f.waiting, func(w waiter) bool {
		if w.rev <= rev {
			close(w.done)
			return true
		}
		return false
	})
}

func (f *feed) fail(err error) {
	defer f.wake()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		f.failed = err
	}
	for _, w := range f.waiting {
		close(w.done)
	}
	f.waiting = nil
}

// wait returns when the write of revision rev is in the caches.
func (f *feed) wait(ctx context.Context, rev int64) error {
	if f.applied.Load() >= rev {
		return nil
	}
	f.mu.Lock()
	if f.failed != nil || f.applied.Load() >= rev {
		defer f.mu.Unlock()
		return f.failed
	}
	w := waiter{rev, make(chan struct{})}
	f.waiting = append(f.waiting, w)
	f.mu.Unlock()
	select {
	case <-w.done:
		if f.applied.Load() >= rev {
			return nil
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.failed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// health is what the feed failed of, if it did.
func (f *feed) health() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}
