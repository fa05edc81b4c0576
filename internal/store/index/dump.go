package index

import "slices"

// Version is one version of a key, as a snapshot has it.
type Version struct {
	Create int64 // 0: the key was deleted at Mod
	Mod    int64
	Value  []byte
}

// Dump calls f for every key there is or was since the compacted revision, with
// its versions, the oldest first, as of the revision that it returns with the compacted
// one. What is compacted meanwhile cannot be read any more, but is dumped. f must not keep the slice.
func (x *Index) Dump(f func(key string, versions []Version) error) (current, compacted int64, err error) {
	compacted = x.hold()
	defer x.release()
	tree, rev, err := x.view(0)
	if err != nil {
		return 0, 0, err
	}
	var vs []Version
	tree.Scan(func(e entry) bool {
		vs = vs[:0]
		for v := e.chain.head.Load(); v != nil; v = v.prev.Load() {
			if v.mod <= rev {
				vs = append(vs, Version{v.create, v.mod, v.value})
			}
		}
		slices.Reverse(vs)
		if len(vs) > 0 {
			err = f(e.key, vs)
		}
		return err == nil
	})
	return rev, compacted, err
}

// hold keeps history from being cut until release, and returns where it begins.
func (x *Index) hold() int64 {
	x.compacting.Lock()
	defer x.compacting.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cut()
	x.holds++
	return x.log.base
}

func (x *Index) release() {
	x.mu.Lock()
	x.holds--
	x.mu.Unlock()
	x.Cut()
}

// Load puts in what Dump gave, key by key in ascending order, before the index is used; Loaded ends it.
func (x *Index) Load(key string, versions []Version) {
	c := &chain{}
	x.tree.Load(entry{key, c})
	for _, d := range versions {
		v := &version{create: d.Create, mod: d.Mod, value: d.Value}
		from := c.head.Load()
		x.account(key, from, v)
		v.prev.Store(from)
		c.head.Store(v)
	}
}

// Loaded makes the log of what was loaded: the index stands at current then, with
// history back to compacted. The events of a transaction are in the order of their keys.
func (x *Index) Loaded(current, compacted int64) {
	x.current = current
	x.compacted.Store(compacted)
	x.log = txnLog{base: compacted}
	txns := make([][]change, current-compacted)
	x.tree.Scan(func(e entry) bool {
		for v := e.chain.head.Load(); v != nil && v.mod > compacted; v = v.prev.Load() {
			i := v.mod - compacted - 1
			txns[i] = append(txns[i], change{e.key, v, v.prev.Load()})
		}
		return true
	})
	for _, changes := range txns {
		x.log.push(changes)
	}
}
