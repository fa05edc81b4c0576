// Package storetest is the suite that every backend of the store passes.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skiff-k8s/skiff/internal/store"
)

// Run runs the suite on stores that open makes; each must be empty.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for name, f := range map[string]func(*testing.T, store.Store){
		"GetAndRange": getAndRange, "Transactions": transactions, "History": history, "Compaction": compaction,
		"Watch": watch, "WatchFromThePast": watchPast, "WatchReady": watchReady, "WatchEnds": watchEnds, "HistoryOfRange": historyOfRange, "Concurrent": concurrent,
		"Lazy": lazy, "Ref": ref, "OddKeysAndValues": odd, "Closed": closed, "Limits": limits,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			defer s.Close()
			f(t, s)
		})
	}
}

func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return c
}

func put(t *testing.T, s store.Store, key, value string) int64 {
	t.Helper()
	return commit(t, s, store.Txn{Then: []store.Op{{Key: key, Value: []byte(value)}}})
}

func commit(t *testing.T, s store.Store, x store.Txn) int64 {
	t.Helper()
	rev, err := s.Commit(ctx(t), x)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return rev
}

func keysOf(t *testing.T, s store.Store, rev int64) string {
	t.Helper()
	p, err := s.Range(ctx(t), "", "\xff", 0, rev)
	if err != nil {
		t.Fatalf("range at %d: %v", rev, err)
	}
	var out []string
	for _, kv := range p.KVs {
		out = append(out, kv.Key+"="+string(kv.Value))
	}
	return strings.Join(out, " ")
}

func getAndRange(t *testing.T, s store.Store) {
	if cur, _ := s.Revision(); cur != 1 {
		t.Errorf("an empty store stands at %d, want 1", cur)
	}
	kv, rev, err := s.Get(ctx(t), "a", 0)
	if err != nil || kv.Mod != 0 || rev != 1 {
		t.Errorf("get of nothing: %+v %d %v", kv, rev, err)
	}
	a := put(t, s, "/r/a", "1")
	b := put(t, s, "/r/b", "2")
	put(t, s, "/q", "other")
	a2 := put(t, s, "/r/a", "3")
	if a != 2 || b != 3 || a2 != 5 {
		t.Errorf("revisions %d %d %d, want 2 3 5", a, b, a2)
	}
	kv, rev, err = s.Get(ctx(t), "/r/a", 0)
	if err != nil || string(kv.Value) != "3" || kv.Create != a || kv.Mod != a2 || rev != a2 {
		t.Errorf("get: %+v at %d, %v", kv, rev, err)
	}
	p, err := s.Range(ctx(t), "/r/", store.PrefixEnd("/r/"), 0, 0)
	if err != nil || len(p.KVs) != 2 || p.KVs[0].Key != "/r/a" || p.KVs[1].Key != "/r/b" || p.Revision != a2 || p.More {
		t.Errorf("range: %+v %v", p, err)
	}
}

func transactions(t *testing.T, s store.Store) {
	a := put(t, s, "a", "1")
	rev, err := s.Commit(ctx(t), store.Txn{If: []store.Compare{{Key: "a"}}, Then: []store.Op{{Key: "a", Value: []byte("x")}, {Key: "b", Value: []byte("x")}}})
	if !errors.Is(err, store.ErrConflict) || rev != a {
		t.Errorf("create of what exists: %d %v", rev, err)
	}
	if got := keysOf(t, s, 0); got != "a=1" {
		t.Errorf("a refused transaction wrote: %s", got)
	}
	rev = commit(t, s, store.Txn{If: []store.Compare{{Key: "a", Mod: a}, {Key: "b"}}, Then: []store.Op{{Key: "a", Delete: true}, {Key: "b", Value: []byte("2")}, {Key: "c", Value: []byte("3")}}})
	if rev != a+1 {
		t.Errorf("three writes are one revision: %d", rev)
	}
	if got := keysOf(t, s, 0); got != "b=2 c=3" {
		t.Errorf("after: %s", got)
	}
	again := put(t, s, "a", "4")
	if kv, _, _ := s.Get(ctx(t), "a", 0); kv.Create != again {
		t.Errorf("a key that was deleted begins anew: created at %d, want %d", kv.Create, again)
	}
}

func history(t *testing.T, s store.Store) {
	r1 := put(t, s, "a", "1")
	r2 := put(t, s, "b", "1")
	r3 := put(t, s, "a", "2")
	r4 := commit(t, s, store.Txn{Then: []store.Op{{Key: "b", Delete: true}}})
	for rev, want := range map[int64]string{r1: "a=1", r2: "a=1 b=1", r3: "a=2 b=1", r4: "a=2"} {
		if got := keysOf(t, s, rev); got != want {
			t.Errorf("at %d: %q, want %q", rev, got, want)
		}
	}
	if _, _, err := s.Get(ctx(t), "a", r4+1); !errors.Is(err, store.ErrFuture) {
		t.Errorf("the future: %v", err)
	}
}

func compaction(t *testing.T, s store.Store) {
	r1 := put(t, s, "a", "1")
	r2 := put(t, s, "a", "2")
	r3 := commit(t, s, store.Txn{Then: []store.Op{{Key: "a", Delete: true}, {Key: "b", Value: []byte("1")}}})
	if err := s.Compact(ctx(t), r2); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(ctx(t), "a", r1); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("read before the compaction: %v", err)
	}
	if got := keysOf(t, s, r2); got != "a=2" {
		t.Errorf("at the compaction: %q", got)
	}
	if got := keysOf(t, s, r3); got != "b=1" {
		t.Errorf("after the compaction: %q", got)
	}
	if err := s.Compact(ctx(t), r1); err != nil {
		t.Errorf("compacting again: %v", err)
	}
	if err := s.Compact(ctx(t), r3+100); !errors.Is(err, store.ErrFuture) {
		t.Errorf("compacting the future: %v", err)
	}
	if _, err := s.Watch(ctx(t), "", "\xff", r1); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("watch from before the compaction: %v", err)
	}
}

// collect reads events until n came.
func collect(t *testing.T, w store.Watch, n int) []string {
	t.Helper()
	var out []string
	for len(out) < n {
		bs, err := w.Next(ctx(t))
		if err != nil {
			t.Fatalf("next after %v: %v", out, err)
		}
		for _, b := range bs {
			for _, e := range b.Events {
				text := fmt.Sprintf("%d %s", b.Revision, e.KV.Key)
				if e.Deleted {
					text += " gone"
				} else {
					text += "=" + string(e.KV.Value)
				}
				if e.Prev != nil {
					text += " was " + string(e.Prev.Value)
				}
				out = append(out, text)
			}
		}
	}
	return out
}

func watch(t *testing.T, s store.Store) {
	put(t, s, "/r/a", "0")
	w, err := s.Watch(ctx(t), "/r/", store.PrefixEnd("/r/"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	go func() {
		c := context.Background()
		s.Commit(c, store.Txn{Then: []store.Op{{Key: "/r/a", Value: []byte("1")}}})
		s.Commit(c, store.Txn{Then: []store.Op{{Key: "/q", Value: []byte("unseen")}}})
		s.Commit(c, store.Txn{Then: []store.Op{{Key: "/r/a", Delete: true}, {Key: "/r/b", Value: []byte("2")}, {Key: "/z", Value: []byte("unseen")}}})
	}()
	got := collect(t, w, 3)
	want := []string{"3 /r/a=1 was 0", "5 /r/a gone was 1", "5 /r/b=2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func watchPast(t *testing.T, s store.Store) {
	r := put(t, s, "a", "1")
	put(t, s, "a", "2")
	put(t, s, "b", "1")
	w, err := s.Watch(ctx(t), "", "\xff", r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if got, want := collect(t, w, 2), []string{"3 a=2 was 1", "4 b=1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := s.Watch(ctx(t), "", "\xff", 1000); !errors.Is(err, store.ErrFuture) {
		t.Errorf("watch from the future: %v", err)
	}
}

// watchReady follows a range without waiting for it.
func watchReady(t *testing.T, s store.Store) {
	put(t, s, "/r/a", "0")
	w, err := s.Watch(ctx(t), "/r/", store.PrefixEnd("/r/"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	told := make(chan struct{}, 100)
	w.Tell(func() { told <- struct{}{} })
	var seen int64
	ready := func(want ...string) {
		t.Helper()
		var got []string
		for {
			bs, err := w.Ready()
			if err != nil {
				t.Fatal(err)
			}
			if len(bs) == 0 {
				break
			}
			for _, b := range bs {
				if b.Revision <= seen {
					t.Errorf("revision %d after %d", b.Revision, seen)
				}
				seen = b.Revision
				for _, e := range b.Events {
					got = append(got, fmt.Sprintf("%d %s=%s", b.Revision, e.KV.Key, e.KV.Value))
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	telling := func(want int) {
		t.Helper()
		if len(told) != want {
			t.Errorf("told %d times, want %d", len(told), want)
		}
		for range len(told) {
			<-told
		}
	}
	put(t, s, "/r/a", "1")
	telling(0) // it was never looked at
	ready("3 /r/a=1")
	put(t, s, "/q", "unseen")
	telling(0)
	ready()
	if seen != 4 {
		t.Errorf("seen up to %d, want 4", seen)
	}
	put(t, s, "/r/b", "1")
	put(t, s, "/r/b", "2") // not told again
	telling(1)
	ready("5 /r/b=1", "6 /r/b=2")
	// What is of no concern may be forgotten.
	for range 10 {
		put(t, s, "/q", "unseen")
	}
	if err := s.Compact(ctx(t), 16); err != nil {
		t.Fatal(err)
	}
	put(t, s, "/r/a", "2")
	telling(1)
	ready("17 /r/a=2")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	telling(1)
	if _, err := w.Ready(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// historyOfRange reads the log of a range from every revision, in parts.
func historyOfRange(t *testing.T, s store.Store) {
	var want []string // of /r/, by revision
	for i := range 2000 {
		key := "/q/x"
		if i%7 == 0 {
			key = fmt.Sprintf("/r/%d", i%3)
		}
		rev := put(t, s, key, fmt.Sprint(i))
		if strings.HasPrefix(key, "/r/") {
			want = append(want, fmt.Sprintf("%d %s=%d", rev, key, i))
		}
	}
	until, _ := s.Revision()
	for _, rev := range []int64{1, 2, 3, 500, 1990, until - 1, until} {
		var got []string
		for at := rev; at < until; {
			bs, seen, err := s.History(ctx(t), "/r/", "/r0", at, until)
			if err != nil || seen <= at {
				t.Fatalf("after %d: seen %d, %v", at, seen, err)
			}
			for _, b := range bs {
				for _, ev := range b.Events {
					got = append(got, fmt.Sprintf("%d %s=%s", b.Revision, ev.KV.Key, ev.KV.Value))
				}
			}
			at = seen
		}
		later := slices.DeleteFunc(slices.Clone(want), func(w string) bool {
			var r int64
			fmt.Sscan(w, &r)
			return r <= rev
		})
		if !slices.Equal(got, later) {
			t.Errorf("after %d: got %d events, want %d", rev, len(got), len(later))
		}
	}
	if _, _, err := s.History(ctx(t), "", "\xff", until, until+1); !errors.Is(err, store.ErrFuture) {
		t.Errorf("until the future: %v", err)
	}
	if err := s.Compact(ctx(t), 1000); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.History(ctx(t), "", "\xff", 999, until); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("from what is compacted: %v", err)
	}
	bs, _, err := s.History(ctx(t), "", "\xff", 1000, until)
	if err != nil || bs[0].Revision != 1001 || bs[0].Events[0].Prev == nil {
		t.Errorf("from the oldest revision: %+v %v", bs, err)
	}
}

func watchEnds(t *testing.T, s store.Store) {
	w, err := s.Watch(ctx(t), "", "\xff", 0)
	if err != nil {
		t.Fatal(err)
	}
	c, cancel := context.WithCancel(ctx(t))
	cancel()
	if _, err := w.Next(c); !errors.Is(err, context.Canceled) {
		t.Errorf("next with a context that ended: %v", err)
	}
	put(t, s, "a", "1")
	if got := collect(t, w, 1); got[0] != "2 a=1" {
		t.Errorf("after a cancelled wait: %q", got)
	}
	done := make(chan error)
	go func() { _, err := w.Next(ctx(t)); done <- err }()
	w.Close()
	w.Close()
	if err := <-done; !errors.Is(err, store.ErrClosed) {
		t.Errorf("next of a closed watch: %v", err)
	}
}

// concurrent counts up one key from many goroutines: no increment may be lost, and
// a watcher sees every step once, in order.
func concurrent(t *testing.T, s store.Store) {
	const workers, each = 16, 40
	w, err := s.Watch(ctx(t), "", "\xff", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for n := 0; n < each; {
				kv, _, err := s.Get(context.Background(), "n", 0)
				if err != nil {
					t.Error(err)
					return
				}
				next := append(slices.Clone(kv.Value), 'x')
				rev, err := s.Commit(context.Background(), store.Txn{If: []store.Compare{{Key: "n", Mod: kv.Mod}}, Then: []store.Op{{Key: "n", Value: next}}})
				if errors.Is(err, store.ErrConflict) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				// What was acknowledged is visible.
				if cur, _ := s.Revision(); cur < rev {
					t.Errorf("revision %d acknowledged, the store stands at %d", rev, cur)
				}
				n++
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	kv, _, _ := s.Get(ctx(t), "n", 0)
	if len(kv.Value) != workers*each {
		t.Errorf("%d increments are left of %d", len(kv.Value), workers*each)
	}
	seen, last := 0, int64(0)
	for seen < workers*each {
		bs, err := w.Next(ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bs {
			seen++
			if b.Revision <= last || len(b.Events[0].KV.Value) != seen {
				t.Fatalf("event %d: revision %d after %d, value of length %d", seen, b.Revision, last, len(b.Events[0].KV.Value))
			}
			last = b.Revision
		}
	}
}

func lazy(t *testing.T, s store.Store) {
	rev := commit(t, s, store.Txn{Lazy: true, Then: []store.Op{{Key: "l", Value: []byte("1")}}})
	if kv, at, _ := s.Get(ctx(t), "l", 0); kv.Mod != rev || at < rev {
		t.Errorf("a lazy write is not visible: %+v at %d", kv, at)
	}
	next := put(t, s, "d", "1")
	if next != rev+1 {
		t.Errorf("revision %d after %d", next, rev)
	}
	_, err := s.Commit(ctx(t), store.Txn{Lazy: true, If: []store.Compare{{Key: "l"}}, Then: []store.Op{{Key: "l", Value: []byte("2")}}})
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("a lazy write compares too: %v", err)
	}
}

func ref(t *testing.T, s store.Store) {
	type decoded struct{ n int }
	d := &decoded{7}
	commit(t, s, store.Txn{Then: []store.Op{{Key: "a", Value: []byte("1"), Ref: d}}})
	kv, _, _ := s.Get(ctx(t), "a", 0)
	if kv.Ref != nil && kv.Ref != d {
		t.Errorf("another Ref came back: %v", kv.Ref)
	}
	put(t, s, "a", "2")
	if kv, _, _ := s.Get(ctx(t), "a", 0); kv.Ref != nil {
		t.Errorf("the Ref of an older value: %v", kv.Ref)
	}
}

func odd(t *testing.T, s store.Store) {
	big := strings.Repeat("x", 1<<20)
	for _, kv := range [][2]string{{"", "empty key"}, {"empty value", ""}, {"zero\x00byte", "\x00"}, {"\xfe", "high"}, {"big", big}} {
		put(t, s, kv[0], kv[1])
		got, _, err := s.Get(ctx(t), kv[0], 0)
		if err != nil || string(got.Value) != kv[1] || got.Mod == 0 {
			t.Errorf("%q: %d bytes, mod %d, %v", kv[0], len(got.Value), got.Mod, err)
		}
	}
}

func limits(t *testing.T, s store.Store) {
	for i := range 10 {
		put(t, s, fmt.Sprintf("k%d", i), "v")
	}
	p, err := s.Range(ctx(t), "k3", "k9", 2, 0)
	if err != nil || len(p.KVs) != 2 || p.KVs[0].Key != "k3" || !p.More || p.Left != 4 {
		t.Errorf("%+v %v", p, err)
	}
	p, err = s.Range(ctx(t), "k3", "k5", 2, 0)
	if err != nil || len(p.KVs) != 2 || p.More || p.Left != 0 {
		t.Errorf("%+v %v", p, err)
	}
}

func closed(t *testing.T, s store.Store) {
	w, err := s.Watch(ctx(t), "", "\xff", 0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { _, err := w.Next(ctx(t)); done <- err }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, store.ErrClosed) {
		t.Errorf("watch: %v", err)
	}
	if _, err := s.Commit(ctx(t), store.Txn{Then: []store.Op{{Key: "a"}}}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit: %v", err)
	}
	if _, _, err := s.Get(ctx(t), "a", 0); !errors.Is(err, store.ErrClosed) {
		t.Errorf("get: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}
