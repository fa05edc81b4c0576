// Package index is the in-memory part that the backends of the store share: all
// keys with their versions back to the compacted revision, and the recent
// transactions for watchers.
//
// Invariants
//   - Apply is called with revisions that go up by one; Index.mu orders it with readers.
//   - An item and its versions are immutable once they are in the tree: a write
//     puts a new item there. So a reader takes a copy of the tree (copy on write,
//     microseconds) and looks at it without a lock.
//   - Only the newest version of a key keeps the writer's Ref.
package index

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tidwall/btree"

	"github.com/skiff-k8s/skiff/internal/store"
)

// Index is the state of a store in memory. Its zero value is not ready: New.
type Index struct {
	mu        sync.RWMutex
	tree      *btree.BTreeG[*item]
	current   int64
	compacted int64
	live      int64 // bytes of the newest versions
	past      int64 // bytes of the others
	closed    error

	// log holds the transactions after revision logBase; its i-th has revision logBase+1+i.
	log     []store.Batch
	logBase int64
	waiting map[*watch]struct{}
}

type item struct {
	key    string
	newest *version
}

type version struct {
	create, mod int64
	value       []byte
	ref         any
	deleted     bool
	prev        *version
}

// maxLog bounds what watchers can catch up with.
const maxLog = 2048

// New returns an index that stands at revision rev, with nothing before it.
func New(rev int64) *Index {
	return &Index{
		tree:    btree.NewBTreeGOptions(func(a, b *item) bool { return a.key < b.key }, btree.Options{NoLocks: true}),
		current: rev, compacted: rev, logBase: rev, waiting: map[*watch]struct{}{},
	}
}

// Load puts in a key as a snapshot had it, before the index is used.
func (x *Index) Load(kv store.KV) {
	x.tree.Set(&item{kv.Key, &version{create: kv.Create, mod: kv.Mod, value: kv.Value}})
	x.live += size(kv.Key, kv.Value)
}

func size(key string, value []byte) int64 { return int64(len(key) + len(value)) }

// Mod is the revision of the last write to a key; 0 when it does not exist.
func (x *Index) Mod(key string) int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if it, ok := x.tree.Get(&item{key: key}); ok && !it.newest.deleted {
		return it.newest.mod
	}
	return 0
}

// Apply makes a transaction visible and wakes whom it concerns.
func (x *Index) Apply(rev int64, ops []store.Op) {
	x.mu.Lock()
	defer x.mu.Unlock()
	b := store.Batch{Revision: rev, Events: make([]store.Event, 0, len(ops))}
	for _, op := range ops {
		if ev, ok := x.applyOp(rev, op); ok {
			b.Events = append(b.Events, ev)
		}
	}
	x.current = rev
	x.log = append(x.log, b)
	if len(x.log) > maxLog {
		drop := maxLog / 4
		x.logBase += int64(drop)
		x.log = append(make([]store.Batch, 0, maxLog+1), x.log[drop:]...)
	}
	for w := range x.waiting {
		if w.concerns(&b) {
			delete(x.waiting, w)
			w.woken <- struct{}{}
		}
	}
}

func (x *Index) applyOp(rev int64, op store.Op) (store.Event, bool) {
	it, had := x.tree.Get(&item{key: op.Key})
	var prev *store.KV
	v := &version{create: rev, mod: rev, value: op.Value, ref: op.Ref, deleted: op.Delete}
	if had && !it.newest.deleted {
		kv := it.newest.kv(op.Key)
		prev = &kv
		v.create = it.newest.create
		x.live -= size(op.Key, it.newest.value)
		x.past += size(op.Key, it.newest.value)
	}
	if op.Delete {
		if prev == nil {
			return store.Event{}, false
		}
		v.value, v.ref = nil, nil
		x.past += size(op.Key, nil)
	} else {
		x.live += size(op.Key, op.Value)
	}
	if had {
		old := *it.newest
		old.ref = nil
		v.prev = &old
	}
	x.tree.Set(&item{op.Key, v})
	kv := v.kv(op.Key)
	if op.Delete {
		kv = store.KV{Key: op.Key, Mod: rev}
	}
	return store.Event{KV: kv, Deleted: op.Delete, Prev: prev}, true
}

func (v *version) kv(key string) store.KV {
	return store.KV{Key: key, Value: v.value, Create: v.create, Mod: v.mod, Ref: v.ref}
}

// at is the version that was the newest at revision rev; nil when there was none.
func (it *item) at(rev int64) *version {
	for v := it.newest; v != nil; v = v.prev {
		if v.mod <= rev {
			if v.deleted {
				return nil
			}
			return v
		}
	}
	return nil
}

// readable turns 0 into the current revision, and refuses what cannot be read. mu is held.
func (x *Index) readable(rev int64) (int64, error) {
	switch {
	case x.closed != nil:
		return 0, x.closed
	case rev == 0:
		return x.current, nil
	case rev > x.current:
		return 0, fmt.Errorf("%w: %d, the last is %d", store.ErrFuture, rev, x.current)
	case rev < x.compacted:
		return 0, fmt.Errorf("%w: %d, the oldest is %d", store.ErrCompacted, rev, x.compacted)
	}
	return rev, nil
}

// view is a copy of the tree and the revision to read it at.
func (x *Index) view(rev int64) (*btree.BTreeG[*item], int64, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	rev, err := x.readable(rev)
	if err != nil {
		return nil, 0, err
	}
	return x.tree.Copy(), rev, nil
}

// Get reads one key.
func (x *Index) Get(key string, rev int64) (store.KV, int64, error) {
	x.mu.RLock()
	rev, err := x.readable(rev)
	if err != nil {
		x.mu.RUnlock()
		return store.KV{}, 0, err
	}
	it, ok := x.tree.Get(&item{key: key})
	x.mu.RUnlock()
	if !ok {
		return store.KV{}, rev, nil
	}
	if v := it.at(rev); v != nil {
		return v.kv(key), rev, nil
	}
	return store.KV{}, rev, nil
}

// Range reads the keys in [from, to).
func (x *Index) Range(from, to string, limit int, rev int64) (store.Page, error) {
	tree, rev, err := x.view(rev)
	if err != nil {
		return store.Page{}, err
	}
	p := store.Page{Revision: rev}
	tree.Ascend(&item{key: from}, func(it *item) bool {
		if it.key >= to {
			return false
		}
		v := it.at(rev)
		switch {
		case v == nil:
		case limit > 0 && len(p.KVs) == limit:
			p.More = true
			p.Left++
		default:
			p.KVs = append(p.KVs, v.kv(it.key))
		}
		return true
	})
	return p, nil
}

// Each calls f for every key there is, at the returned revision.
func (x *Index) Each(f func(store.KV) error) (int64, error) {
	tree, rev, err := x.view(0)
	if err != nil {
		return 0, err
	}
	tree.Scan(func(it *item) bool {
		if v := it.at(rev); v != nil {
			err = f(v.kv(it.key))
		}
		return err == nil
	})
	return rev, err
}

// Compact forgets what was over before rev.
func (x *Index) Compact(rev int64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed != nil {
		return x.closed
	}
	if rev > x.current {
		return fmt.Errorf("%w: %d, the last is %d", store.ErrFuture, rev, x.current)
	}
	if rev <= x.compacted {
		return nil
	}
	x.compacted = rev
	var changed []*item
	x.past = 0
	x.tree.Scan(func(it *item) bool {
		head, kept := trim(it.newest, rev)
		if head == nil {
			changed = append(changed, &item{key: it.key})
			return true
		}
		x.past += kept - size("", head.value)
		if head != it.newest {
			changed = append(changed, &item{it.key, head})
		}
		return true
	})
	for _, it := range changed {
		if it.newest == nil {
			x.tree.Delete(it)
		} else {
			x.tree.Set(it)
		}
	}
	// Watchers can go on only from what is kept.
	if drop := rev - x.logBase; drop > 0 {
		drop = min(drop, int64(len(x.log)))
		x.log = slices.Clone(x.log[drop:])
		x.logBase += drop
	}
	return nil
}

// trim drops the versions that were over before rev; the chain is copied where
// it changes, for readers may be in it. kept is the size of the values kept.
func trim(v *version, rev int64) (*version, int64) {
	if v == nil {
		return nil, 0
	}
	if v.mod <= rev {
		if v.deleted {
			return nil, 0
		}
		if v.prev == nil {
			return v, size("", v.value)
		}
		c := *v
		c.prev = nil
		return &c, size("", v.value)
	}
	prev, kept := trim(v.prev, rev)
	if prev == v.prev {
		return v, kept + size("", v.value)
	}
	c := *v
	c.prev = prev
	return &c, kept + size("", v.value)
}

// Revision is the last revision and the oldest that can still be read.
func (x *Index) Revision() (current, compacted int64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.current, x.compacted
}

// View is the last revision and the oldest readable one, or why there is none any more.
func (x *Index) View() (current, compacted int64, err error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.current, x.compacted, x.closed
}

// Bytes is how much the present state and the past hold.
func (x *Index) Bytes() (live, past int64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.live, x.past
}

// Close makes every later call, and every waiting watch, fail with err.
func (x *Index) Close(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed != nil {
		return
	}
	x.closed = err
	for w := range x.waiting {
		delete(x.waiting, w)
		w.woken <- struct{}{}
	}
}

// watch is a cursor into the log.
type watch struct {
	x        *Index
	from, to string
	after    int64
	woken    chan struct{}
	done     chan struct{}
	once     sync.Once
}

// Watch delivers what is written to [from, to) after revision rev (0: after now).
func (x *Index) Watch(from, to string, rev int64) (store.Watch, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.closed != nil:
		return nil, x.closed
	case rev == 0:
		rev = x.current
	case rev > x.current:
		return nil, fmt.Errorf("%w: %d, the last is %d", store.ErrFuture, rev, x.current)
	case rev < x.logBase:
		return nil, fmt.Errorf("%w: %d, watches reach back to %d", store.ErrCompacted, rev, x.logBase)
	}
	return &watch{x: x, from: from, to: to, after: rev, woken: make(chan struct{}, 1), done: make(chan struct{})}, nil
}

func (w *watch) inside(key string) bool { return key >= w.from && key < w.to }

func (w *watch) concerns(b *store.Batch) bool {
	return slices.ContainsFunc(b.Events, func(e store.Event) bool { return w.inside(e.KV.Key) })
}

func (w *watch) Next(ctx context.Context) ([]store.Batch, error) {
	for {
		out, err := w.ready()
		if err != nil || len(out) > 0 {
			return out, err
		}
		select {
		case <-w.woken:
		case <-w.done:
			return nil, store.ErrClosed
		case <-ctx.Done():
			w.forget()
			return nil, ctx.Err()
		}
	}
}

// ready returns what is there; when that is nothing, the watch is put among those to be woken.
func (w *watch) ready() ([]store.Batch, error) {
	x := w.x
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed != nil {
		return nil, x.closed
	}
	if w.after < x.logBase {
		return nil, fmt.Errorf("%w: the watch stands at %d, the log begins after %d", store.ErrCompacted, w.after, x.logBase)
	}
	var out []store.Batch
	for _, b := range x.log[w.after-x.logBase:] {
		if b = w.cut(b); len(b.Events) > 0 {
			out = append(out, b)
		}
	}
	w.after = x.current
	if len(out) == 0 {
		x.waiting[w] = struct{}{}
	}
	return out, nil
}

// cut leaves the events of the watched range.
func (w *watch) cut(b store.Batch) store.Batch {
	all := true
	for i := range b.Events {
		all = all && w.inside(b.Events[i].KV.Key)
	}
	if all {
		return b
	}
	mine := store.Batch{Revision: b.Revision}
	for _, e := range b.Events {
		if w.inside(e.KV.Key) {
			mine.Events = append(mine.Events, e)
		}
	}
	return mine
}

func (w *watch) forget() {
	w.x.mu.Lock()
	defer w.x.mu.Unlock()
	delete(w.x.waiting, w)
	select {
	case <-w.woken:
	default:
	}
}

func (w *watch) Close() {
	w.once.Do(func() {
		w.forget()
		close(w.done)
	})
}
