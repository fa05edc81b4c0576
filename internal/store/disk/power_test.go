package disk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skiff-k8s/skiff/internal/store"
)

// ledger knows every transaction that was ever asked for, and what came of it.
type ledger struct {
	mu     sync.Mutex
	asked  map[string]store.Txn // by its number, which is in the first operation's value
	acked  map[int64]string     // durable ones, by revision
	next   int
	refuse func(error) bool // which errors are to be expected
}

func newLedger(refuse func(error) bool) *ledger {
	return &ledger{asked: map[string]store.Txn{}, acked: map[int64]string{}, refuse: refuse}
}

// ask makes a transaction: its first operation tells its number, others put and delete some of a few keys.
func (l *ledger) ask(rng *rand.Rand) (string, store.Txn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	id := strconv.Itoa(l.next)
	t := store.Txn{Lazy: rng.IntN(6) == 0, Then: []store.Op{{Key: "id", Value: []byte(id)}}}
	for k := range 4 {
		op := store.Op{Key: fmt.Sprintf("k%d", rng.IntN(4)*4+k)}
		switch rng.IntN(6) {
		case 0:
			op.Delete = true
		case 1:
			op.Value = make([]byte, rng.IntN(3000)) // zeroes, as a torn write has them
		case 2:
			op.Value = []byte(strings.Repeat(id, rng.IntN(700)))
		default:
			continue
		}
		t.Then = append(t.Then, op)
	}
	l.asked[id] = t
	return id, t
}

// run commits until n transactions were tried or the store is gone.
func (l *ledger) run(t *testing.T, s *Store, rng *rand.Rand, n int) {
	for range n {
		id, txn := l.ask(rng)
		rev, err := s.Commit(context.Background(), txn)
		if err != nil {
			if !l.refuse(err) {
				t.Errorf("commit: %v", err)
			}
			if errors.Is(err, store.ErrClosed) {
				return
			}
			continue
		}
		if !txn.Lazy {
			l.mu.Lock()
			l.acked[rev] = id
			l.mu.Unlock()
		}
	}
}

// check reads the whole history of a store: every revision is a transaction that was asked
// for, whole, at most once; every acknowledged one is there.
func (l *ledger) check(t *testing.T, s *Store) {
	t.Helper()
	current, compacted := s.Revision()
	for rev := range l.acked {
		if rev > current {
			t.Fatalf("revision %d was acknowledged, the store stands at %d", rev, current)
		}
	}
	w, err := s.Watch(context.Background(), "", "\xff", compacted)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	seen := map[string]bool{}
	for rev := compacted; rev < current; {
		bs, err := w.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bs {
			if b.Revision != rev+1 {
				t.Fatalf("revision %d after %d", b.Revision, rev)
			}
			rev = b.Revision
			id := l.match(t, b)
			if want, ok := l.acked[rev]; ok && want != id || seen[id] {
				t.Fatalf("revision %d is transaction %s (seen: %v), acknowledged was %q", rev, id, seen[id], want)
			}
			seen[id] = true
		}
	}
	// What a snapshot kept of compacted revisions is only the last of each key: reading it is all there is to check.
	if _, err := s.Range(context.Background(), "", "\xff", 0, compacted); err != nil {
		t.Fatal(err)
	}
}

// match finds the transaction of a batch and compares.
func (l *ledger) match(t *testing.T, b store.Batch) string {
	t.Helper()
	got := map[string]store.Event{}
	for _, ev := range b.Events {
		got[ev.KV.Key] = ev
	}
	id := string(got["id"].KV.Value)
	txn, ok := l.asked[id]
	if !ok {
		t.Fatalf("revision %d was never asked for: %v", b.Revision, b.Events)
	}
	for _, op := range txn.Then {
		ev, ok := got[op.Key]
		switch {
		case op.Delete && !ok: // there was nothing
		case !ok || ev.Deleted != op.Delete || string(ev.KV.Value) != string(op.Value):
			t.Fatalf("revision %d, transaction %s: %s is not as asked for", b.Revision, id, op.Key)
		}
		delete(got, op.Key)
	}
	if len(got) > 0 {
		t.Fatalf("revision %d, transaction %s has more than asked for: %v", b.Revision, id, got)
	}
	return id
}

// seeded is always the same sequence, unless SKIFF_SEED names another ("random": whichever), to
// look for what has not been found so far. The order of goroutines is chance all the same.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(1)
	switch v := os.Getenv("SKIFF_SEED"); v {
	case "":
	case "random":
		seed = rand.Uint64()
	default:
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SKIFF_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestPowerCuts takes the power away again and again, while writers, snapshots, compactions
// and recoveries are at work.
func TestPowerCuts(t *testing.T) {
	rng := seeded(t)
	dir := t.TempDir()
	rounds := 400
	if testing.Short() {
		rounds = 50
	}
	var fs *memFiles
	var l *ledger
	for round := range rounds {
		if round%20 == 0 {
			fs, l = newMemFiles(), newLedger(func(err error) bool { return errors.Is(err, store.ErrClosed) })
		}
		o := Options{files: fs, SegmentBytes: 16 << 10, SnapshotBytes: 1 + rng.Int64N(32<<10), SnapshotRatio: 1, HistoryBytes: 1 + rng.Int64N(32<<10)}
		s, err := Open(dir, o)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		l.check(t, s)
		var wg sync.WaitGroup
		for range 3 {
			r := rand.New(rand.NewPCG(rng.Uint64(), 0))
			wg.Go(func() { l.run(t, s, r, 1+r.IntN(60)) })
		}
		done := make(chan *memFiles)
		ops := rng.IntN(400)
		go func() { done <- fs.cutAfter(ops, &wg, rand.New(rand.NewPCG(rng.Uint64(), 1))) }()
		wg.Wait()
		fs = <-done
		s.Close()
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

// cutAfter waits for so many operations, or for the writers, and takes the power away.
func (m *memFiles) cutAfter(ops int, writers *sync.WaitGroup, rng *rand.Rand) *memFiles {
	gone := make(chan struct{})
	go func() { writers.Wait(); close(gone) }()
	for {
		m.mu.Lock()
		enough := m.ops > ops
		m.mu.Unlock()
		select {
		case <-gone:
			enough = true
		default:
		}
		if enough {
			return m.cut(rng)
		}
		time.Sleep(0)
	}
}

// TestEveryFault lets every single operation on the disk fail once: what was acknowledged
// before is there afterwards, with and without a loss of power on top.
func TestEveryFault(t *testing.T) {
	dir := t.TempDir()
	o := Options{SegmentBytes: 8 << 10, SnapshotBytes: 1 << 40, HistoryBytes: -1}
	for failAt := 1; ; failAt++ {
		rng := rand.New(rand.NewPCG(uint64(failAt), 7))
		fs := newMemFiles()
		fs.failAt = failAt
		o.files = fs
		l := newLedger(func(err error) bool { return errors.Is(err, store.ErrClosed) })
		if s, err := Open(dir, o); err == nil {
			l.run(t, s, rng, 10)
			s.tidyUp(failAt%3 == 0, true)
			l.run(t, s, rng, 10)
			s.Close()
			if s, err = Open(dir, o); err == nil {
				l.run(t, s, rng, 3)
				s.Close()
			}
		}
		over := fs.ops < failAt
		for _, after := range []*memFiles{fs, fs.cut(rng)} {
			after.off, after.failAt = false, 0
			o.files = after
			s, err := Open(dir, o)
			if err != nil {
				t.Fatalf("operation %d failed; then: %v", failAt, err)
			}
			l.check(t, s)
			s.Close()
		}
		if t.Failed() {
			t.Fatalf("operation %d", failAt)
		}
		if over {
			t.Logf("%d operations", failAt-1)
			return
		}
	}
}

// TestFailedSync: after a failed sync nothing is acknowledged or read any more, and the reason is told.
func TestFailedSync(t *testing.T) {
	fs := newMemFiles()
	s := mustOpen(t, t.TempDir(), Options{files: fs})
	defer s.Close()
	put(t, s, "k", []byte("1"))
	w, err := s.Watch(context.Background(), "", "\xff", 0)
	if err != nil {
		t.Fatal(err)
	}
	fs.mu.Lock()
	fs.failAt = fs.ops + 2 // the write goes, the sync does not
	fs.mu.Unlock()
	for range 2 {
		_, err := s.Commit(context.Background(), store.Txn{Then: []store.Op{{Key: "k", Value: []byte("2")}}})
		if !errors.Is(err, store.ErrClosed) || !strings.Contains(err.Error(), "input/output error") {
			t.Errorf("commit: %v", err)
		}
	}
	if _, err := w.Next(context.Background()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("watch: %v", err)
	}
	if _, _, err := s.Get(context.Background(), "k", 0); !errors.Is(err, store.ErrClosed) {
		t.Errorf("get: %v", err)
	}
}
