// Package index is the in-memory part that the backends of the store share: all
// keys with their versions back to the compacted revision, and all transactions
// since then for watchers.
//
// In: transactions that the backend accepted, one revision after the other, and
// compactions. Out: reads at any revision that is kept, and watches from any.
//
// Invariants
//   - Apply is called with revisions that go up by one; Index.mu orders it with
//     the start of every read.
//   - A version never changes but for two things: its prev is cut by compaction,
//     and its ref is dropped when it is old. Both are atomic, so a reader that holds
//     a copy of the tree (copy on write, made only after keys came or went) needs no lock.
//   - Every change of the log is exactly one version in the tree's chains, from the
//     compacted revision on: history, watches and compaction are three views of one log.
//   - A reader may walk a chain while it is cut; only reads below the compacted
//     revision can notice, and they check that revision again when they are done.
//
// Lock order: compacting, mu, group.mu.
//
// Read version.go first, then this file, log.go, watch.go, compact.go.
package index

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tidwall/btree"

	"github.com/skiff-k8s/skiff/internal/store"
)

// Index is the state of a store in memory. Its zero value is not ready: New.
type Index struct {
	mu      sync.RWMutex
	tree    *btree.BTreeG[entry]
	shared  *btree.BTreeG[entry] // a copy for readers; nil when the set of keys changed since
	current int64
	closed  error
	log     txnLog // the transactions after its base
	live    int64  // bytes of the newest versions
	past    int64  // bytes of the others
	groups  groups // who waits for what

	compacted  atomic.Int64 // written with mu held
	compacting sync.Mutex   // one cut of history at a time
	holds      int          // guarded by mu: who wants history as it is (Dump)
}

// New returns an index that stands at revision rev, with nothing before it.
func New(rev int64) *Index {
	x := &Index{
		tree:    btree.NewBTreeGOptions(func(a, b entry) bool { return a.key < b.key }, btree.Options{NoLocks: true}),
		current: rev, log: txnLog{base: rev},
	}
	x.compacted.Store(rev)
	return x
}

// Apply makes a transaction visible and wakes whom it concerns.
func (x *Index) Apply(rev int64, ops []store.Op) {
	x.mu.Lock()
	defer x.mu.Unlock()
	changes := make([]change, 0, len(ops))
	for i := range ops {
		if c, ok := x.put(rev, &ops[i]); ok {
			changes = append(changes, c)
		}
	}
	x.current = rev
	x.log.push(changes)
	x.groups.wake(rev, changes)
}

// put adds a version to a key; false when a key that does not exist is deleted.
func (x *Index) put(rev int64, op *store.Op) (change, bool) {
	e, had := x.tree.Get(entry{key: op.Key})
	var from *version
	if had {
		from = e.chain.head.Load()
	}
	existed := from != nil && !from.deleted()
	if op.Delete && !existed {
		return change{}, false
	}
	to := &version{mod: rev}
	if !op.Delete {
		to.value, to.create = op.Value, rev
		if existed {
			to.create = from.create
		}
		if op.Ref != nil {
			ref := op.Ref // not &op.Ref, which would keep the whole transaction
			to.ref.Store(&ref)
		}
	}
	if !had {
		e = entry{op.Key, &chain{}}
		x.tree.Set(e)
		x.shared = nil
	}
	x.account(op.Key, from, to)
	to.prev.Store(from)
	e.chain.head.Store(to)
	return change{e.key, to, from}, true
}

// account moves the bytes of what is superseded to the past.
func (x *Index) account(key string, from, to *version) {
	if from != nil && !from.deleted() {
		x.live -= from.size(key)
		x.past += from.size(key)
	}
	if to.deleted() {
		x.past += to.size(key)
	} else {
		x.live += to.size(key)
	}
}

// Mod is the revision of the last write to a key; 0 when it does not exist.
func (x *Index) Mod(key string) int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if e, ok := x.tree.Get(entry{key: key}); ok {
		if v := e.chain.head.Load(); !v.deleted() {
			return v.mod
		}
	}
	return 0
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
	}
	return rev, x.kept(rev)
}

// kept refuses a revision whose history is gone.
func (x *Index) kept(rev int64) error {
	if c := x.compacted.Load(); rev < c {
		return fmt.Errorf("%w: %d, the oldest is %d", store.ErrCompacted, rev, c)
	}
	return nil
}

// view is a copy of the tree, with the revision to read it at.
func (x *Index) view(rev int64) (*btree.BTreeG[entry], int64, error) {
	x.mu.RLock()
	rev, err := x.readable(rev)
	tree := x.shared
	x.mu.RUnlock()
	if err != nil || tree != nil {
		return tree, rev, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.shared == nil {
		x.shared = x.tree.Copy()
	}
	// Keys that came since rev was read are newer than rev: they are passed over.
	return x.shared, rev, nil
}

// Get reads one key.
func (x *Index) Get(key string, asked int64) (store.KV, int64, error) {
	for {
		kv, rev, err := x.get(key, asked)
		if err != nil {
			return store.KV{}, 0, err
		}
		if err = x.kept(rev); err == nil {
			return kv, rev, nil
		}
		if asked != 0 {
			return store.KV{}, 0, err
		}
	}
}

func (x *Index) get(key string, rev int64) (store.KV, int64, error) {
	x.mu.RLock()
	rev, err := x.readable(rev)
	if err != nil {
		x.mu.RUnlock()
		return store.KV{}, 0, err
	}
	e, ok := x.tree.Get(entry{key: key})
	x.mu.RUnlock()
	if ok {
		if v := e.chain.at(rev); v != nil {
			return v.kv(key), rev, nil
		}
	}
	return store.KV{}, rev, nil
}

// Range reads the keys in [from, to).
func (x *Index) Range(from, to string, limit int, asked int64) (store.Page, error) {
	for {
		tree, rev, err := x.view(asked)
		if err != nil {
			return store.Page{}, err
		}
		p := page(tree, from, to, limit, rev)
		if err = x.kept(rev); err == nil {
			return p, nil
		}
		if asked != 0 {
			return store.Page{}, err
		}
		// "Now" was compacted away under a long read: read what is now now.
	}
}

func page(tree *btree.BTreeG[entry], from, to string, limit int, rev int64) store.Page {
	p := store.Page{Revision: rev}
	tree.Ascend(entry{key: from}, func(e entry) bool {
		if e.key >= to {
			return false
		}
		v := e.chain.at(rev)
		switch {
		case v == nil:
		case limit > 0 && len(p.KVs) == limit:
			p.More = true
			p.Left++
		default:
			if p.KVs == nil {
				p.KVs = make([]store.KV, 0, firstRoom(limit, tree.Len()))
			}
			p.KVs = append(p.KVs, v.kv(e.key))
		}
		return true
	})
	return p
}

// firstRoom guesses how many keys a range has.
func firstRoom(limit, keys int) int {
	if limit > 0 {
		return min(limit, keys)
	}
	return min(keys, 64)
}

// Revision is the last revision and the oldest that can still be read.
func (x *Index) Revision() (current, compacted int64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.current, x.compacted.Load()
}

// Err is why the index was closed; nil while it is open.
func (x *Index) Err() error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.closed
}

// Bytes is about how much memory the present state and the past hold.
func (x *Index) Bytes() (live, past int64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.live, x.past
}

// Close makes every later call, and every waiting watch, fail with err.
func (x *Index) Close(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed == nil {
		x.closed = err
		x.groups.wakeAll()
	}
}
