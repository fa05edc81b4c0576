package apiserver

import (
	"context"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/quota"
	"github.com/skiff-k8s/skiff/internal/store"
)

// quotas charges the ResourceQuotas of a namespace in the transaction that writes
// the object which they count.
//
// Invariants
//   - A charged object is written only together with the new use of each quota, on the
//     condition that the quota is at the revision that the charge was computed from. So no
//     two writes are admitted on the same state of a quota, whichever servers they come to.
//   - The writes that are charged in one namespace go one after the other, from the look at the
//     quota to the commit: without that, most of many at once would lose the race and start over.
//   - A write that no quota looks at takes no lock and writes nothing more.
type quotas struct {
	mu    sync.Mutex
	turns map[string]*turn
}

// turn is who may charge in a namespace; it lives as long as somebody wants it.
type turn struct {
	wanted int
	free   chan struct{}
}

// acquire waits for the namespace's turn; release gives it on.
func (q *quotas) acquire(ctx context.Context, ns string) (release func(), err error) {
	q.mu.Lock()
	if q.turns == nil {
		q.turns = map[string]*turn{}
	}
	t := q.turns[ns]
	if t == nil {
		t = &turn{free: make(chan struct{}, 1)}
		t.free <- struct{}{}
		q.turns[ns] = t
	}
	t.wanted++
	q.mu.Unlock()
	leave := func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if t.wanted--; t.wanted == 0 {
			delete(q.turns, ns)
		}
	}
	select {
	case <-t.free:
		return func() { t.free <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// charge adds to the transaction what the write costs the quotas of its namespace, or refuses it. release must be
// called when the transaction is through.
func (s *Server) charge(ctx context.Context, t target, txn *store.Txn, o, old api.Object) (release func(), err error) {
	release = func() {}
	row := all.For[*corev1.ResourceQuota]()
	mine := func() []*entry { return s.cache(row).byIndex(ctx, quota.IndexNamespace, t.ns) }
	if t.ns == "" || !slices.ContainsFunc(mine(), func(e *entry) bool { return quota.Looks(e.object().(*corev1.ResourceQuota), t.res) }) {
		return release, nil
	}
	w := quota.Write{Resource: t.res, Subresource: t.sub, Object: o, Old: old, Now: s.Now()}
	if !w.Charges() {
		return release, nil
	}
	if release, err = s.quotas.acquire(ctx, t.ns); err != nil {
		return func() {}, s.storeError(err)
	}
	es := mine()
	slices.SortFunc(es, func(a, b *entry) int { return strings.Compare(a.key, b.key) })
	for _, e := range es {
		if err := s.chargeOne(t, &w, txn, e); err != nil {
			release()
			return func() {}, err
		}
	}
	return release, nil
}

func (s *Server) chargeOne(t target, w *quota.Write, txn *store.Txn, e *entry) error {
	q := e.object().(*corev1.ResourceQuota)
	if !quota.Looks(q, t.res) {
		return nil
	}
	used := q.Status.Used
	// A new quota, or a changed one, holds from the first write on, whether its controller has seen it or not.
	if !quota.Current(q) {
		var err error
		if used, err = quota.Recount(q, s.Rows(), w.Now, s.objectsIn(t.ns)); err != nil {
			return err
		}
	}
	more, err := w.Charge(q, used)
	if err != nil {
		return apierrors.NewForbidden(t.res.GroupResource(), t.name, err)
	}
	if more == nil {
		return nil
	}
	next, err := newEntry(e.res, e.key, quota.WithUsed(q, quota.Plus(used, more)))
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	txn.If = append(txn.If, store.Compare{Key: e.key, Mod: e.rev})
	txn.Then = append(txn.Then, store.Op{Key: e.key, Value: next.value, Ref: next})
	return nil
}

// objectsIn lists what there is of a kind in a namespace.
func (s *Server) objectsIn(ns string) func(*api.Resource) ([]api.Object, error) {
	return func(r *api.Resource) ([]api.Object, error) {
		var out []api.Object
		scan(s.cache(r).snapshot(), &selector{prefix: r.Prefix(ns)}, "", func(e *entry) bool {
			out = append(out, e.asStored())
			return true
		})
		return out, nil
	}
}
