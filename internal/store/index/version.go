package index

import (
	"sync/atomic"

	"github.com/skiff-k8s/skiff/internal/store"
)

// entry is a key in the tree, with its versions.
type entry struct {
	key   string
	chain *chain
}

// chain is the versions of a key, the newest first.
type chain struct {
	head atomic.Pointer[version] // nil only in the entry that one searches with
}

// version is what a transaction made of a key.
type version struct {
	create int64 // revision at which the key came to be; 0: this is a deletion
	mod    int64
	value  []byte
	ref    atomic.Pointer[any]
	prev   atomic.Pointer[version]
}

func (v *version) deleted() bool { return v.create == 0 }

// overhead is what a version costs beside its key and value: itself, its change, its log entry.
const overhead = 160

func (v *version) size(key string) int64 {
	return int64(len(key)+len(v.value)) + overhead
}

func (v *version) kv(key string) store.KV {
	kv := store.KV{Key: key, Value: v.value, Create: v.create, Mod: v.mod}
	if r := v.ref.Load(); r != nil {
		kv.Ref = *r
	}
	return kv
}

// at is the version that was the newest at revision rev; nil when the key did not exist.
func (c *chain) at(rev int64) *version {
	for v := c.head.Load(); v != nil; v = v.prev.Load() {
		if v.mod <= rev {
			if v.deleted() {
				return nil
			}
			return v
		}
	}
	return nil
}

// change is one write of a transaction: the version it made and the one it superseded.
type change struct {
	key      string
	to, from *version
}

func (c *change) event() store.Event {
	ev := store.Event{Deleted: c.to.deleted()}
	if ev.Deleted {
		ev.KV = store.KV{Key: c.key, Mod: c.to.mod}
	} else {
		ev.KV = c.to.kv(c.key)
	}
	if c.from != nil && !c.from.deleted() {
		kv := c.from.kv(c.key)
		ev.Prev = &kv
	}
	return ev
}
