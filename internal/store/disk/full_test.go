package disk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skiff-k8s/skiff/internal/store"
)

// TestFull fills the disk: puts are refused, deletes go through, and when there is room again so do puts.
func TestFull(t *testing.T) {
	fs := newMemFiles()
	now := time.Unix(0, 0)
	dir := t.TempDir()
	o := Options{files: fs, now: func() time.Time { return now }}
	s := mustOpen(t, dir, o)
	ctx := context.Background()
	value := []byte(strings.Repeat("x", 10<<10))
	try := func(op store.Op) error {
		_, err := s.Commit(ctx, store.Txn{Then: []store.Op{op}})
		return err
	}
	fs.setCapacity(2<<20 + 100<<10)
	n := 0
	for ; ; n++ {
		err := try(store.Op{Key: fmt.Sprintf("k%d", n), Value: value})
		if errors.Is(err, store.ErrFull) {
			break
		}
		if err != nil || n == 1000 {
			t.Fatalf("put %d: %v", n, err)
		}
	}
	if n < 20 {
		t.Fatalf("only %d puts went through", n)
	}
	for i := range n {
		now = now.Add(time.Second) // each tries in earnest
		if err := try(store.Op{Key: "more", Value: value}); !errors.Is(err, store.ErrFull) {
			t.Fatalf("a put on a full disk: %v", err)
		}
		if err := try(store.Op{Key: fmt.Sprintf("k%d", i), Delete: true}); err != nil {
			t.Fatalf("delete %d on a full disk: %v", i, err)
		}
		if kv, _, err := s.Get(ctx, fmt.Sprintf("k%d", i), 0); err != nil || kv.Mod != 0 {
			t.Fatalf("after the delete: %v %v", kv, err)
		}
	}
	s.background.Wait()
	fs.setCapacity(0)
	now = now.Add(time.Second)
	if err := try(store.Op{Key: "later", Value: value}); err != nil {
		t.Errorf("a put when there is room again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, o)
	defer s.Close()
	p, err := s.Range(ctx, "", "\xff", 0, 0)
	if err != nil || len(p.KVs) != 1 || p.KVs[0].Key != "later" {
		t.Errorf("after opening again: %d keys, %v", len(p.KVs), err)
	}
}

func (m *memFiles) setCapacity(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = n
}

// TestFullByChance lets the disk be full at random times, also for what is written in place,
// with many writers: nothing but ErrFull is seen, and nothing acknowledged is lost.
func TestFullByChance(t *testing.T) {
	rng := seeded(t)
	for round := range 60 {
		fs := newMemFiles()
		fs.rng, fs.inPlace = rand.New(rand.NewPCG(rng.Uint64(), 0)), round%2 == 0
		dir := t.TempDir()
		o := Options{
			files: fs, SegmentBytes: 16 << 10, SnapshotBytes: 8 << 10, SnapshotRatio: 1,
			HistoryBytes: 16 << 10, FullRetry: time.Nanosecond, LazyDelay: time.Millisecond,
		}
		s := mustOpen(t, dir, o)
		l := newLedger(func(err error) bool { return errors.Is(err, store.ErrFull) })
		var wg sync.WaitGroup
		for range 4 {
			r := rand.New(rand.NewPCG(rng.Uint64(), 0))
			wg.Go(func() {
				for range 10 {
					fs.setCapacity(r.Int64N(2) * (1 + r.Int64N(2<<20)))
					l.run(t, s, r, 10)
				}
			})
		}
		wg.Wait()
		fs.setCapacity(0)
		put(t, s, "id", []byte("0"))
		l.asked["0"] = store.Txn{Then: []store.Op{{Key: "id", Value: []byte("0")}}}
		s.background.Wait() // or else history goes while it is read
		l.check(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, dir, o)
		l.check(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}
