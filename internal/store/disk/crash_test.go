package disk

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
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
	rng := seeded(t)
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
