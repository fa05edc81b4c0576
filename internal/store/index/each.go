package index

import "github.com/skiff-k8s/skiff/internal/store"

// Each calls f for every key there is, at the returned revision.
func (x *Index) Each(f func(store.KV) error) (int64, error) {
	tree, rev, err := x.view(0)
	if err != nil {
		return 0, err
	}
	tree.Scan(func(e entry) bool {
		if v := e.chain.at(rev); v != nil {
			err = f(v.kv(e.key))
		}
		return err == nil
	})
	return rev, err
}
