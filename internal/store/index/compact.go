package index

import (
	"fmt"

	"github.com/skiff-k8s/skiff/internal/store"
)

// cutStep is how many transactions are forgotten in one hold of the lock.
const cutStep = 1024

// Compact forgets what was over before rev.
func (x *Index) Compact(rev int64) error {
	if err := x.Forget(rev); err != nil {
		return err
	}
	x.Cut()
	return nil
}

// Forget is the quick half of Compact: from now on, revisions before rev cannot be read.
func (x *Index) Forget(rev int64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed != nil {
		return x.closed
	}
	if rev > x.current {
		return fmt.Errorf("%w: %d, the last is %d", store.ErrFuture, rev, x.current)
	}
	if rev > x.compacted.Load() {
		x.compacted.Store(rev)
	}
	return nil
}

// Cut is the other half: it gives back the memory of what cannot be read any more.
func (x *Index) Cut() {
	x.compacting.Lock()
	defer x.compacting.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cut()
}

// cut forgets the log up to the compacted revision, and the versions that were
// superseded in it: each change cuts exactly one. compacting and mu are held; mu is let go now and then.
func (x *Index) cut() {
	for n := 1; x.holds == 0 && x.log.base < x.compacted.Load(); n++ {
		t := x.log.get(x.log.base + 1)
		for i := range t.changes {
			x.forget(&t.changes[i])
		}
		x.log.drop()
		if n%cutStep == 0 {
			x.mu.Unlock()
			x.mu.Lock()
		}
	}
}

func (x *Index) forget(c *change) {
	if c.from != nil {
		c.to.prev.Store(nil)
		c.from.ref.Store(nil)
		x.past -= c.from.size(c.key)
	}
	if !c.to.deleted() {
		return
	}
	// A deletion that is over is nothing: a key whose last version it is goes. Otherwise the
	// version after it cuts it off, in its turn.
	if e, ok := x.tree.Get(entry{key: c.key}); ok && e.chain.head.Load() == c.to {
		x.tree.Delete(e)
		x.shared = nil
		x.past -= c.to.size(c.key)
	}
}
