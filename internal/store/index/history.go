package index

import (
	"fmt"
	"slices"

	"github.com/skiff-k8s/skiff/internal/store"
)

// History answers from the log, like a watch that does not wait. It looks at as many
// transactions as a watch does in one hold of the lock, and answers when there is something.
func (x *Index) History(from, to string, rev, until int64) ([]store.Batch, int64, error) {
	g := group{from: from, to: to}
	for {
		out, seen, err := x.look(&g, rev, until)
		if err != nil || len(out) > 0 || seen >= until {
			return out, seen, err
		}
		rev = seen
	}
}

func (x *Index) look(g *group, rev, until int64) ([]store.Batch, int64, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.closed != nil {
		return nil, rev, x.closed
	}
	if newest := max(rev, until); newest > x.current {
		return nil, rev, fmt.Errorf("%w: %d, the last is %d", store.ErrFuture, newest, x.current)
	}
	if err := x.kept(rev); err != nil {
		return nil, rev, err
	}
	var out []store.Batch
	for end := min(until, rev+step); rev < end; {
		rev++
		t := x.log.get(rev)
		if slices.ContainsFunc(t.changes, func(c change) bool { return g.inside(c.key) }) {
			// The batch is not kept in the log: whoever reads the past is alone there.
			out = append(out, t.cut(rev, g.inside))
		}
	}
	return out, rev, nil
}
