// Package mem is the store that keeps nothing: for tests and simulation. It is
// the index and a lock; what the methods promise is written in package store.
package mem

import (
	"context"
	"sync"

	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/index"
)

// Store is a store in memory.
type Store struct {
	mu sync.Mutex // orders commits
	x  *index.Index
}

// New returns an empty store, which stands at revision 1.
func New() *Store { return &Store{x: index.New(1)} }

var _ store.Store = (*Store)(nil)

func (s *Store) Get(ctx context.Context, key string, rev int64) (store.KV, int64, error) {
	if err := ctx.Err(); err != nil {
		return store.KV{}, 0, err
	}
	return s.x.Get(key, rev)
}

func (s *Store) Range(ctx context.Context, from, to string, limit int, rev int64) (store.Page, error) {
	if err := ctx.Err(); err != nil {
		return store.Page{}, err
	}
	return s.x.Range(from, to, limit, rev)
}

func (s *Store) Commit(ctx context.Context, t store.Txn) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.x.Err(); err != nil {
		return 0, err
	}
	rev, _ := s.x.Revision()
	for _, c := range t.If {
		if s.x.Mod(c.Key) != c.Mod {
			return rev, store.ErrConflict
		}
	}
	s.x.Apply(rev+1, t.Then)
	return rev + 1, nil
}

func (s *Store) Watch(_ context.Context, from, to string, rev int64) (store.Watch, error) {
	return s.x.Watch(from, to, rev)
}

func (s *Store) History(ctx context.Context, from, to string, rev, until int64) ([]store.Batch, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	return s.x.History(from, to, rev, until)
}

func (s *Store) Compact(_ context.Context, rev int64) error { return s.x.Compact(rev) }
func (s *Store) Revision() (current, compacted int64)       { return s.x.Revision() }

func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.x.Close(store.ErrClosed)
	return nil
}
