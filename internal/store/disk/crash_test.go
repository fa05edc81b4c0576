package disk

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/skiff-k8s/skiff/internal/store"
)

// crashDir tells this program, started once more, to write until it is killed.
const crashDir = "SKIFF_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		writeUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// writeUntilKilled commits from several goroutines, and reports what was
// acknowledged on standard output: "worker number revision".
func writeUntilKilled(dir string) {
	s, err := Open(dir, Options{SegmentBytes: 64 << 10, SnapshotBytes: 128 << 10, SnapshotRatio: 1})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(3)
	}
	var mu sync.Mutex
	ctx := context.Background()
	for w := range 4 {
		go func() {
			kv, _, err := s.Get(ctx, key(w, "a"), 0)
			n := 0
			if err == nil && kv.Mod != 0 {
				n, _ = strconv.Atoi(strings.TrimLeft(string(kv.Value), "x"))
			}
			for {
				n++
				// Two keys in one transaction always say the same; a third comes and goes.
				v := []byte(strings.Repeat("x", rand.IntN(400)) + strconv.Itoa(n))
				ops := []store.Op{{Key: key(w, "a"), Value: v}, {Key: key(w, "b"), Value: v}, {Key: key(w, "c"), Value: v, Delete: n%2 == 0}}
				rev, err := s.Commit(ctx, store.Txn{Then: ops, Lazy: n%7 == 0})
				if err != nil {
					fmt.Println("commit:", err)
					os.Exit(3)
				}
				if n%7 != 0 {
					mu.Lock()
					fmt.Println(w, n, rev)
					mu.Unlock()
				}
			}
		}()
	}
	select {}
}

func key(w int, name string) string { return fmt.Sprintf("/w%d/%s", w, name) }

// TestKilled kills a process that writes, at random moments, and looks at what is left: every
// acknowledged transaction, none in part.
func TestKilled(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	var lastRev int64
	for round := range rounds {
		acked, top := killOne(t, dir, time.Duration(5+rng.IntN(60))*time.Millisecond)
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		rev, _ := s.Revision()
		if rev < top || rev < lastRev {
			t.Fatalf("round %d: the store stands at %d; %d was acknowledged, %d seen before", round, rev, top, lastRev)
		}
		lastRev = rev
		for w := range 4 {
			checkWorker(t, s, w, acked[w])
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

// killOne lets a process write for a while, kills it, and returns the last acknowledged number of each worker.
func killOne(t *testing.T, dir string, life time.Duration) (acked map[int]int, top int64) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked = map[int]int{}
	in := bufio.NewReader(out)
	var timer *time.Timer
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			break // a line without its end was never acknowledged to anybody
		}
		if timer == nil {
			timer = time.AfterFunc(life, func() { cmd.Process.Kill() })
		}
		var w, n int
		var rev int64
		if c, _ := fmt.Sscan(line, &w, &n, &rev); c != 3 {
			t.Fatalf("the writer said %q", line)
		}
		acked[w], top = n, max(top, rev)
	}
	cmd.Wait()
	return acked, top
}

func checkWorker(t *testing.T, s *Store, w, acked int) {
	t.Helper()
	read := func(name string) (int, int64) {
		kv, _, err := s.Get(context.Background(), key(w, name), 0)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.Atoi(strings.TrimLeft(string(kv.Value), "x"))
		return n, kv.Mod
	}
	a, modA := read("a")
	b, modB := read("b")
	c, modC := read("c")
	if a < acked {
		t.Errorf("worker %d: %d was acknowledged, %d is there", w, acked, a)
	}
	if a != b || modA != modB || a%2 == 1 && (c != a || modC != modA) || a > 0 && a%2 == 0 && modC != 0 {
		t.Errorf("worker %d: half a transaction: a=%d@%d b=%d@%d c=%d@%d", w, a, modA, b, modB, c, modC)
	}
}

// filled writes a few transactions and returns the directory and its segment.
func filled(t *testing.T) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	s := mustOpen(t, dir, Options{})
	for i := range 5 {
		if _, err := s.Commit(context.Background(), store.Txn{Then: []store.Op{{Key: fmt.Sprintf("k%d", i), Value: []byte("value")}}}); err != nil {
			t.Fatal(err)
		}
	}
	file = s.seg.name
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

// TestFlippedBits damages every byte of the log once: either nothing is lost, or
// opening tells of it, or it was the last record, which looks like a torn tail.
func TestFlippedBits(t *testing.T) {
	dir, file := filled(t)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	end := headerSize
	last := end
	for {
		_, n, _ := nextRecord(good[end:])
		if n == 0 {
			break
		}
		last, end = end, end+n
	}
	for at := range end {
		bad := append([]byte(nil), good...)
		bad[at] ^= 1 << (at % 8)
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, Options{})
		if err != nil {
			if !strings.Contains(err.Error(), "damaged") {
				t.Errorf("byte %d: unclear error: %v", at, err)
			}
			continue
		}
		rev, _ := s.Revision()
		s.Close()
		if at < last {
			t.Errorf("byte %d: damage before the last record was not noticed (revision %d)", at, rev)
		}
	}
}

// TestTorn cuts the log at every length: what is before the cut is there.
func TestTorn(t *testing.T) {
	dir, file := filled(t)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for cut := headerSize; cut < headerSize+200; cut++ {
		if err := os.WriteFile(file, good[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		want := int64(1)
		for at := headerSize; ; {
			_, n, err := nextRecord(good[at:cut])
			if err != nil || n == 0 {
				break
			}
			at += n
			want++
		}
		if rev, _ := s.Revision(); rev != want {
			t.Errorf("cut at %d: revision %d, want %d", cut, rev, want)
		}
		if _, err := s.Commit(context.Background(), store.Txn{Then: []store.Op{{Key: "new", Value: []byte("1")}}}); err != nil {
			t.Errorf("cut at %d: write after: %v", cut, err)
		}
		s.Close()
	}
}

// small is a file system that is full after some bytes.
type small struct {
	mu   sync.Mutex
	left int64
	on   bool
}

func (f *small) create(name string, fresh bool) (file, error) {
	osf, err := osFiles{}.create(name, fresh)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	return &smallFile{osf, f, st.Size()}, nil
}

type smallFile struct {
	file
	fs   *small
	size int64
}

func (s *smallFile) WriteAt(b []byte, at int64) (int, error) {
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	if grow := at + int64(len(b)) - s.size; grow > 0 && s.fs.on {
		if grow > s.fs.left {
			return 0, fmt.Errorf("write: %w", syscall.ENOSPC)
		}
		s.fs.left -= grow
	}
	n, err := s.file.WriteAt(b, at)
	s.size = max(s.size, at+int64(n))
	return n, err
}

// TestFull fills the disk: puts are refused, deletes go through, and when there is room again so do puts.
func TestFull(t *testing.T) {
	fs := &small{}
	s := mustOpen(t, t.TempDir(), Options{files: fs})
	defer s.Close()
	fs.on = true
	ctx := context.Background()
	value := []byte(strings.Repeat("x", 10<<10))
	put := func(k string) error {
		_, err := s.Commit(ctx, store.Txn{Then: []store.Op{{Key: k, Value: value}}})
		return err
	}
	n := 0
	for ; n < 1000; n++ {
		if err := put(fmt.Sprintf("k%d", n)); err != nil {
			if !errors.Is(err, store.ErrFull) {
				t.Fatalf("put %d: %v", n, err)
			}
			break
		}
	}
	if n == 0 || n == 1000 {
		t.Fatalf("%d puts went through", n)
	}
	if err := put("another"); !errors.Is(err, store.ErrFull) {
		t.Errorf("a put on a full disk: %v", err)
	}
	if _, err := s.Commit(ctx, store.Txn{Then: []store.Op{{Key: "k0", Delete: true}}}); err != nil {
		t.Errorf("a delete on a full disk: %v", err)
	}
	fs.mu.Lock()
	fs.left = 64 << 20
	fs.mu.Unlock()
	if err := put("later"); err != nil {
		t.Errorf("a put when there is room again: %v", err)
	}
	if kv, _, _ := s.Get(ctx, "k1", 0); len(kv.Value) != len(value) {
		t.Error("what was written before is gone")
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(appendTxn(nil, 7, []store.Op{{Key: "a", Value: []byte("b")}, {Key: "c", Delete: true}}))
	f.Add(appendCompact(nil, 7))
	f.Add(appendKey(nil, store.KV{Key: "a", Value: []byte("b"), Create: 1, Mod: 2}))
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		raw, n, err := nextRecord(b)
		if err != nil || n == 0 {
			parseBody(b)
			return
		}
		if n > len(b) {
			t.Fatalf("a record of %d bytes in %d", n, len(b))
		}
		parseBody(raw)
	})
}

func BenchmarkCommit(b *testing.B) {
	value := []byte(strings.Repeat("x", 1024))
	for _, writers := range []int{1, 16, 64} {
		b.Run(strconv.Itoa(writers), func(b *testing.B) {
			s := mustOpen(b, b.TempDir(), Options{})
			defer s.Close()
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := w; i < b.N; i += writers {
						if _, err := s.Commit(context.Background(), store.Txn{Then: []store.Op{{Key: strconv.Itoa(i % 10000), Value: value}}}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
