package apiserver

import (
	"context"
	"sync"
	"sync/atomic"
	"unique"

	"github.com/tidwall/btree"

	"github.com/skiff-k8s/skiff/internal/api"
)

// cache holds all objects of one kind: an ordered copy-on-write index of
// immutable entries, what the kind's indexes say, and the recent events.
//
// Invariants
//   - Only the feed (feed.go) changes a cache, one transaction after the other in
//     the order of revisions.
//   - Readers take mu for reading, or work on a copy of the tree.
//   - A watcher has a cursor into the events; it never holds mu while it writes to
//     its client. One whose place was trimmed, or that begins before, reads the store's
//     history until it meets the events again (history.go), and fails only when that is gone.
type cache struct {
	res      *api.Resource
	feed     *feed
	versions []*cache // of a custom kind: the same objects in its other versions
	types    typesOf  // of a custom kind

	changes atomic.Int64 // how often it changed

	mu      sync.RWMutex
	byKey   map[string]*entry
	tree    *btree.BTreeG[*entry]
	indexes []map[unique.Handle[string]]map[*entry]struct{} // as the kind's plan orders them

	// events[i] has sequence number first+i. Revisions at or below base are no longer told in full.
	events   []*change
	keep     int // how many of them, at most
	first    int64
	base     int64
	watchers watchers
	retired  bool // another one is in its place, or the kind is gone
}

// change is one write as watchers see it: what is there now (nil: nothing) and what was before.
type change struct {
	rev  int64
	now  *entry
	old  *entry
	left atomic.Pointer[entry]
}

func (ch *change) key() string {
	if ch.now != nil {
		return ch.now.key
	}
	return ch.old.key
}

// last is the state before, with the revision of the change: what watchers see of an
// object that is deleted, or that is theirs no more.
func (ch *change) last() *entry {
	if e := ch.left.Load(); e != nil {
		return e
	}
	e := ch.old.at(ch.rev)
	ch.left.CompareAndSwap(nil, e)
	return ch.left.Load()
}

// maxEvents bounds what is kept ready. Who comes back from before reads the store's history.
const maxEvents = 1024

func newCache(r *api.Resource) *cache {
	c := &cache{
		res: r, keep: maxEvents, byKey: map[string]*entry{}, watchers: newWatchers(r.Prefix("")),
		tree: btree.NewBTreeGOptions(func(a, b *entry) bool { return a.key < b.key }, btree.Options{NoLocks: true}),
	}
	for range planOf(r).indexes {
		c.indexes = append(c.indexes, map[unique.Handle[string]]map[*entry]struct{}{})
	}
	return c
}

// get finds an entry. There are none in a cache that is not there.
func (c *cache) get(key string) *entry {
	if c == nil {
		return nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byKey[key]
}

// load puts in what the store had at start.
func (c *cache) load(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(e, nil)
}

func (c *cache) put(e, old *entry) {
	c.byKey[e.key] = e
	c.tree.Set(e)
	if old != nil {
		c.unindex(old)
	}
	for _, t := range e.terms {
		idx := c.indexes[t.index]
		if idx[t.value] == nil {
			idx[t.value] = map[*entry]struct{}{}
		}
		idx[t.value][e] = struct{}{}
	}
}

func (c *cache) remove(old *entry) {
	delete(c.byKey, old.key)
	c.tree.Delete(old)
	c.unindex(old)
}

func (c *cache) unindex(e *entry) {
	for _, t := range e.terms {
		idx := c.indexes[t.index]
		delete(idx[t.value], e)
		if len(idx[t.value]) == 0 {
			delete(idx, t.value)
		}
	}
}

// write is one key of a transaction: what is there now (nil: nothing).
type write struct {
	key string
	now *entry
}

// apply makes what a transaction wrote of this kind visible, at once, and wakes whom it concerns.
func (c *cache) apply(rev int64, writes []write) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.changes.Add(1)
	for _, w := range writes {
		ch := &change{rev: rev, now: w.now, old: c.byKey[w.key]}
		switch {
		case ch.now != nil:
			c.put(ch.now, ch.old)
		case ch.old != nil:
			c.remove(ch.old)
		default:
			continue
		}
		seq := c.first + int64(len(c.events))
		c.events = append(c.events, ch)
		c.watchers.wake(ch, seq)
	}
	c.trim()
	c.watchers.tellPump()
}

// retire ends the watches: who comes back finds what is there now.
func (c *cache) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	c.watchers.each(func(w *watcher) { w.poke() })
}

// trim forgets the oldest events, whole transactions.
func (c *cache) trim() {
	if len(c.events) <= c.keep {
		return
	}
	drop := len(c.events) - c.keep*3/4
	for drop < len(c.events) && c.events[drop].rev == c.events[drop-1].rev {
		drop++
	}
	c.base = c.events[drop-1].rev
	c.first += int64(drop)
	// A new array, so that a watcher may go on reading the one it has.
	c.events = append(make([]*change, 0, c.keep+1), c.events[drop:]...)
}

// snapshot is the state of a namespace (prefix) as a tree of its own.
func (c *cache) snapshot() *btree.BTreeG[*entry] {
	if c == nil {
		return btree.NewBTreeGOptions(func(a, b *entry) bool { return a.key < b.key }, btree.Options{NoLocks: true})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tree.Copy()
}

// scan calls f for the entries that a selector spans, from a key on.
func scan(t *btree.BTreeG[*entry], sel *selector, from string, f func(*entry) bool) {
	first, _ := sel.span()
	t.Ascend(&entry{key: max(from, first)}, func(e *entry) bool {
		return sel.spans(e.key) && f(e)
	})
}

func (c *cache) byIndex(_ context.Context, name, value string) []*entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	set := c.indexes[planOf(c.res).index(name)][unique.Make(value)]
	out := make([]*entry, 0, len(set))
	for e := range set {
		out = append(out, e)
	}
	return out
}

// size is how many objects there are.
func (c *cache) size() int {
	if c == nil {
		return 0
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.byKey)
}

// watching is how many watches there are.
func (c *cache) watching() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.watchers.count
}

// all are the entries of the kind.
func (c *cache) all() []*entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]*entry, 0, len(c.byKey))
	for _, e := range c.byKey {
		out = append(out, e)
	}
	return out
}
