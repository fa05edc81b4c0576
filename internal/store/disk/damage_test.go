package disk

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

// contentsOf is what the files of a store hold, by name.
func contentsOf(fs *memFiles) map[string][]byte {
	out := map[string][]byte{}
	for name, n := range fs.names {
		out[name] = slices.Clone(n.data)
	}
	return out
}

// holding is a file system with such files.
func holding(files map[string][]byte) *memFiles {
	fs := newMemFiles()
	for name, b := range files {
		fs.names[name] = &memNode{data: slices.Clone(b), durable: slices.Clone(b)}
	}
	fs.durable = maps.Clone(fs.names)
	return fs
}

// with is the files, but for one.
func with(files map[string][]byte, name string, b []byte) map[string][]byte {
	files = maps.Clone(files)
	files[name] = b
	return files
}

// filled makes a store of a snapshot and segments, with 12 revisions, and returns its files.
func filled(t *testing.T) (dir string, files map[string][]byte) {
	t.Helper()
	dir = t.TempDir()
	fs := newMemFiles()
	s := mustOpen(t, dir, Options{SegmentBytes: page, files: fs})
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
	if len(fs.names) < 3 {
		t.Fatalf("only %d files", len(fs.names))
	}
	return dir, contentsOf(fs)
}

const filledRevision = 12

// used is where the zeroes at the end of a file begin.
func used(b []byte) int {
	return len(strings.TrimRight(string(b), "\x00"))
}

func tryOpen(dir string, files map[string][]byte) (rev int64, err error) {
	s, err := Open(dir, Options{SegmentBytes: page, files: holding(files)})
	if err != nil {
		return 0, err
	}
	rev, _ = s.Revision()
	return rev, s.Close()
}

// TestFlippedBits flips a bit of every byte of every file: opening tells of it, or
// nothing is lost, for the bit means nothing.
func TestFlippedBits(t *testing.T) {
	dir, files := filled(t)
	silent := 0
	for name, good := range files {
		for at := range min(used(good)+64, len(good)) {
			bad := slices.Clone(good)
			bad[at] ^= 1 << (at % 8)
			rev, err := tryOpen(dir, with(files, name, bad))
			switch {
			case err == nil && rev != filledRevision:
				t.Fatalf("%s, byte %d: the store opens at revision %d", filepath.Base(name), at, rev)
			case err == nil:
				silent++
			case !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "offset") && !strings.Contains(err.Error(), "version"):
				t.Fatalf("%s, byte %d: unclear: %v", filepath.Base(name), at, err)
			}
		}
	}
	t.Logf("%d bits meant nothing", silent)
}

// TestTruncated cuts every file at every length: nothing is lost silently.
func TestTruncated(t *testing.T) {
	dir, files := filled(t)
	for name, good := range files {
		for cut := range good {
			if rev, err := tryOpen(dir, with(files, name, good[:cut])); err == nil && rev != filledRevision {
				t.Fatalf("%s cut at %d: the store opens at revision %d", filepath.Base(name), cut, rev)
			}
		}
	}
}

// TestMissing removes every file but the last segment, which nothing else tells of.
func TestMissing(t *testing.T) {
	dir, files := filled(t)
	for name := range files {
		without := maps.Clone(files)
		delete(without, name)
		if rev, err := tryOpen(dir, without); err == nil && rev != filledRevision {
			t.Errorf("without %s: the store opens at revision %d", filepath.Base(name), rev)
		}
	}
}

// TestTorn leaves the last frame as a crash may: any of its sectors written, the others zero.
func TestTorn(t *testing.T) {
	dir, fs := t.TempDir(), newMemFiles()
	s := mustOpen(t, dir, Options{files: fs})
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
	files := contentsOf(fs)
	good := files[name]
	first, last := start/sector, (end+sector-1)/sector
	for mask := range 1 << (last - first) {
		bad := slices.Clone(good)
		for i := range last - first {
			if mask&(1<<i) == 0 {
				clear(bad[max((first+i)*sector, start) : (first+i+1)*sector])
			}
		}
		rev, err := tryOpen(dir, with(files, name, bad))
		if err != nil {
			t.Fatalf("sectors %b: %v", mask, err)
		}
		whole := string(bad) == string(good)
		if want := int64(2); whole && rev != 3 || !whole && rev != want {
			t.Fatalf("sectors %b: revision %d", mask, rev)
		}
		// It goes on from there, and what was cut off does not come back.
		fs := holding(with(files, name, bad))
		s := mustOpen(t, dir, Options{files: fs})
		put(t, s, "new", []byte("1"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if again, err := tryOpen(dir, contentsOf(fs)); err != nil || again != rev+1 {
			t.Fatalf("sectors %b, after another write: revision %d, %v", mask, again, err)
		}
	}
}

// TestTornBeforeGoodOne: a frame that is unfinished though a later one is there is no crash.
func TestTornBeforeGoodOne(t *testing.T) {
	dir, fs := t.TempDir(), newMemFiles()
	s := mustOpen(t, dir, Options{files: fs})
	at := s.log.seg.end
	put(t, s, "k", []byte(strings.Repeat("x", 2000)))
	put(t, s, "k", []byte("later"))
	name := s.log.name(1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files := contentsOf(fs)
	good := files[name]
	for _, from := range []int64{at, at + sector} {
		bad := slices.Clone(good)
		clear(bad[from : at+1800])
		if _, err := tryOpen(dir, with(files, name, bad)); err == nil || !strings.Contains(err.Error(), "damaged at offset") {
			t.Errorf("from %d: %v", from, err)
		}
	}
}

func TestOlderFormat(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{filepath.Join(dir, "wal-0000000000000001"): []byte("SKIFFWAL")}
	if _, err := tryOpen(dir, files); err == nil || !strings.Contains(err.Error(), "format version 1") {
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
	if s, err = Open(dir, Options{}); err != nil {
		t.Fatalf("after closing: %v", err)
	}
	s.Close()
}
