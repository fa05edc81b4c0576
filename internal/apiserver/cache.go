package apiserver

import (
	"context"
	"strings"
	"sync"

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
//     its client. One that is so slow that its place was trimmed fails with "too old".
type cache struct {
	res *api.Resource

	mu      sync.RWMutex
	byKey   map[string]*entry
	tree    *btree.BTreeG[*entry]
	indexes map[string]map[string]map[*entry]struct{}

	// events[i] has sequence number first+i. Revisions at or below base are no longer told in full.
	events   []change
	first    int64
	base     int64
	watchers map[*watcher]struct{}
}

// change is one write as watchers see it. now is nil for a deletion, gone then
// has the last state with the revision of the deletion.
type change struct {
	rev  int64
	now  *entry
	old  *entry
	gone *entry
}

// maxEvents bounds what is kept for watchers that come back.
const maxEvents = 4096

func newCache(r *api.Resource) *cache {
	c := &cache{
		res: r, byKey: map[string]*entry{}, watchers: map[*watcher]struct{}{},
		tree:    btree.NewBTreeGOptions(func(a, b *entry) bool { return a.key < b.key }, btree.Options{NoLocks: true}),
		indexes: map[string]map[string]map[*entry]struct{}{},
	}
	for name := range r.Indexes {
		c.indexes[name] = map[string]map[*entry]struct{}{}
	}
	return c
}

func (c *cache) get(key string) *entry {
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
	for name, f := range c.res.Indexes {
		idx := c.indexes[name]
		if old != nil {
			unindex(idx, f(old.obj), old)
		}
		for _, v := range f(e.obj) {
			if idx[v] == nil {
				idx[v] = map[*entry]struct{}{}
			}
			idx[v][e] = struct{}{}
		}
	}
}

func (c *cache) remove(old *entry) {
	delete(c.byKey, old.key)
	c.tree.Delete(old)
	for name, f := range c.res.Indexes {
		unindex(c.indexes[name], f(old.obj), old)
	}
}

func unindex(idx map[string]map[*entry]struct{}, values []string, e *entry) {
	for _, v := range values {
		delete(idx[v], e)
		if len(idx[v]) == 0 {
			delete(idx, v)
		}
	}
}

// apply makes one write visible and wakes whom it concerns.
func (c *cache) apply(rev int64, key string, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.byKey[key]
	ch := change{rev: rev, now: e, old: old}
	switch {
	case e != nil:
		c.put(e, old)
	case old != nil:
		c.remove(old)
		// The state that watchers see last carries the revision of the deletion.
		last := old.obj.DeepCopyObject().(api.Object)
		gone := &entry{res: old.res, key: key, obj: last, value: old.value, raw: old.raw}
		gone.publish(rev)
		ch.gone = gone
	default:
		return
	}
	c.events = append(c.events, ch)
	if len(c.events) > maxEvents {
		drop := maxEvents / 4
		c.base = c.events[drop-1].rev
		c.first += int64(drop)
		// A new array, so that a watcher may go on reading the one it has.
		c.events = append(make([]change, 0, maxEvents+1), c.events[drop:]...)
	}
	for w := range c.watchers {
		if w.concerns(&ch) {
			w.wake()
		}
	}
}

// snapshot is the state of a namespace (prefix) as a tree of its own.
func (c *cache) snapshot() *btree.BTreeG[*entry] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tree.Copy()
}

// scan calls f for the entries whose key starts with prefix and is at least from.
func scan(t *btree.BTreeG[*entry], prefix, from string, f func(*entry) bool) {
	if from < prefix {
		from = prefix
	}
	t.Ascend(&entry{key: from}, func(e *entry) bool {
		return strings.HasPrefix(e.key, prefix) && f(e)
	})
}

func (c *cache) byIndex(_ context.Context, name, value string) []*entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	set := c.indexes[name][value]
	out := make([]*entry, 0, len(set))
	for e := range set {
		out = append(out, e)
	}
	return out
}
