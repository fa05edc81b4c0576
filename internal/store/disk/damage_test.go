package disk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skiff-k8s/skiff/internal/store"
)

func put(t testing.TB, s *Store, key string, value []byte) int64 {
	t.Helper()
	rev, err := s.Commit(context.Background(), store.Txn{Then: []store.Op{{Key: key, Value: value}}})
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return rev
}

// files reads all files of a store.
func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*-*"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = b
	}
	return out
}

// filled makes a store of two segments and a snapshot, with 12 revisions, and returns its files.
func filled(t *testing.T) (dir string, files map[string][]byte) {
	t.Helper()
	dir = t.TempDir()
	s := mustOpen(t, dir, Options{SegmentBytes: page})
	for i := range 3 {
		put(t, s, fmt.Sprintf("k%d", i), []byte("in the snapshot"))
	}
	if err := s.tidyUp(false, true); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		// With sectors of zeroes, which must not be taken for what a crash left.
		put(t, s, fmt.Sprintf("k%d", i), append(make([]byte, 1100), 'x'))
	}
	for i := range 4 {
		put(t, s, fmt.Sprintf("k%d", i), []byte("short"))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, filesOf(t, dir)
}

const filledRevision = 12

// used is where the zeroes at the end of a file begin.
func used(b []byte) int {
	return len(strings.TrimRight(string(b), "\x00"))
}

func tryOpen(dir string) (rev int64, err error) {
	s, err := Open(dir, Options{SegmentBytes: page})
	if err != nil {
		return 0, err
	}
	rev, _ = s.Revision()
	return rev, s.Close()
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFlippedBits flips a bit of every byte of every file: opening tells of it, or
// nothing is lost, for the byte means nothing.
func TestFlippedBits(t *testing.T) {
	dir, files := filled(t)
	if len(files) < 3 {
		t.Fatalf("only %d files", len(files))
	}
	silent := 0
	for name, good := range files {
		for at := range min(used(good)+64, len(good)) {
			bad := append([]byte(nil), good...)
			bad[at] ^= 1 << (at % 8)
			write(t, name, bad)
			rev, err := tryOpen(dir)
			switch {
			case err == nil && rev != filledRevision:
				t.Fatalf("%s, byte %d: the store opens at revision %d", filepath.Base(name), at, rev)
			case err == nil:
				silent++
			case !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "offset") && !strings.Contains(err.Error(), "version"):
				t.Fatalf("%s, byte %d: unclear: %v", filepath.Base(name), at, err)
			}
			for n, b := range files { // what Open may have made of them
				write(t, n, b)
			}
		}
	}
	t.Logf("%d bytes meant nothing", silent)
}

// TestTruncated cuts every file at every length: nothing is lost silently.
func TestTruncated(t *testing.T) {
	dir, files := filled(t)
	for name, good := range files {
		for cut := range len(good) {
			if cut > used(good)+64 && cut%61 != 0 {
				continue
			}
			write(t, name, good[:cut])
			rev, err := tryOpen(dir)
			if err == nil && rev != filledRevision {
				t.Fatalf("%s cut at %d: the store opens at revision %d", filepath.Base(name), cut, rev)
			}
			for n, b := range files {
				write(t, n, b)
			}
		}
	}
}

// TestMissing removes every file in turn.
func TestMissing(t *testing.T) {
	dir, files := filled(t)
	for name, good := range files {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		rev, err := tryOpen(dir)
		if err == nil && rev != filledRevision {
			t.Errorf("without %s: the store opens at revision %d", filepath.Base(name), rev)
		}
		for n, b := range files {
			write(t, n, b)
		}
		write(t, name, good)
	}
}

// TestTorn leaves the last frame as a crash may: any of its sectors written, the others zero.
func TestTorn(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	put(t, s, "k", []byte("kept"))
	start := s.log.seg.end
	value := []byte(strings.Repeat("x", 3000))
	copy(value[1000:], make([]byte, 700))
	put(t, s, "k", value)
	end := s.log.seg.end
	name := s.log.name(1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good := filesOf(t, dir)[name]
	first, last := start/sector, (end+sector-1)/sector
	for mask := range 1 << (last - first) {
		bad := append([]byte(nil), good...)
		for i := range last - first {
			if mask&(1<<i) == 0 {
				clear(bad[max((first+i)*sector, start) : (first+i+1)*sector])
			}
		}
		write(t, name, bad)
		rev, err := tryOpen(dir)
		if err != nil {
			t.Fatalf("sectors %b: %v", mask, err)
		}
		whole := string(bad) == string(good)
		if want := int64(2); whole && rev != 3 || !whole && rev != want {
			t.Fatalf("sectors %b: revision %d", mask, rev)
		}
		// It goes on from there, and what was cut off does not come back.
		s := mustOpen(t, dir, Options{})
		put(t, s, "new", []byte("1"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if again, err := tryOpen(dir); err != nil || again != rev+1 {
			t.Fatalf("sectors %b, after another write: revision %d, %v", mask, again, err)
		}
	}
}

// TestTornBeforeGoodOne: a frame that is unfinished though a later one is there is no crash.
func TestTornBeforeGoodOne(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	at := s.log.seg.end
	put(t, s, "k", []byte(strings.Repeat("x", 2000)))
	put(t, s, "k", []byte("later"))
	name := s.log.name(1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good := filesOf(t, dir)[name]
	for _, from := range []int64{at, at + sector} {
		bad := append([]byte(nil), good...)
		clear(bad[from : at+1800])
		write(t, name, bad)
		if _, err := tryOpen(dir); err == nil || !strings.Contains(err.Error(), "damaged at offset") {
			t.Errorf("from %d: %v", from, err)
		}
	}
}

func TestOlderFormat(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "wal-0000000000000001"), []byte("SKIFFWAL"))
	if _, err := tryOpen(dir); err == nil || !strings.Contains(err.Error(), "format version 1") {
		t.Error(err)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	_, err := Open(dir, Options{})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("already open, by process %d", os.Getpid())) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOpen(dir); err != nil {
		t.Errorf("after closing: %v", err)
	}
}
