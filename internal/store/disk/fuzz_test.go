package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/index"
)

// FuzzOpen opens whatever bytes are in the first segment: it must open or refuse, never
// panic, and what it opened it must open again, the same.
func FuzzOpen(f *testing.F) {
	h := header{magic: logMagic, salt: 1, number: 1, size: page, rev: 1, seq: 1}
	segment := func(payloads ...[]byte) []byte {
		b := make([]byte, page)
		copy(b, h.encode())
		at := int64(headerSize)
		for i, p := range payloads {
			frame := append(make([]byte, frameHead), p...)
			finishFrame(frame, at, h.seal(), uint64(i+1))
			at += int64(copy(b[at:], frame))
			at = aligned(int(at))
		}
		return b
	}
	one := appendTxn(nil, 2, []store.Op{{Key: "k", Value: []byte("v")}, {Key: "gone", Delete: true}})
	f.Add(segment())
	f.Add(segment(one))
	f.Add(segment(one, appendCompact(appendTxn(nil, 3, []store.Op{{Key: "k", Delete: true}}), 2)))
	f.Add(segment(appendKey(nil, "k", []index.Version{{Create: 2, Mod: 2}})))
	f.Add(make([]byte, page))
	f.Add([]byte{})
	dir := f.TempDir()
	name := filepath.Join(dir, "log-0000000000000001")
	f.Fuzz(func(t *testing.T, b []byte) {
		// Checksums made right let the fuzzer behind them.
		for _, repair := range []bool{false, true} {
			files := map[string][]byte{name: slices.Clone(b)}
			if repair {
				repairFrames(files[name], h)
			}
			fs := holding(files)
			s, err := Open(dir, Options{files: fs})
			if err != nil {
				continue
			}
			rev, compacted := s.Revision()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s, err = Open(dir, Options{files: fs})
			if err != nil {
				t.Fatalf("opened once, and then: %v", err)
			}
			if r, c := s.Revision(); r != rev || c != compacted {
				t.Fatalf("opened at %d, %d and then at %d, %d", rev, compacted, r, c)
			}
			s.Close()
		}
	})
}

func repairFrames(b []byte, h header) {
	if len(b) < headerSize {
		return
	}
	h.size = int64(len(b))
	copy(b, h.encode())
	at := int64(headerSize)
	for seq := uint64(1); at+frameHead < int64(len(b)); seq++ {
		n := int64(b[at]) | int64(b[at+1])<<8
		if n == 0 || at+frameHead+n > int64(len(b)) {
			return
		}
		finishFrame(b[at:at+frameHead+n], at, h.seal(), seq)
		at += aligned(int(frameHead + n))
	}
}

// FuzzRecord decodes any payload; what it understands it must write back the same.
func FuzzRecord(f *testing.F) {
	f.Add(appendTxn(nil, 2, []store.Op{{Key: "k", Value: []byte("v")}, {Key: "gone", Delete: true}}))
	f.Add(appendCompact(nil, 300))
	f.Add(appendEnd(appendKey(nil, "k", []index.Version{{Create: 2, Mod: 2, Value: []byte("v")}, {Mod: 9}}), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		var out []byte
		err := eachRecord(b, func(r record) error {
			switch r.kind {
			case kindTxn:
				out = appendTxn(out, r.rev, r.ops)
			case kindCompact:
				out = appendCompact(out, r.rev)
			case kindKey:
				out = appendKey(out, r.key, r.versions)
			case kindEnd:
				out = appendEnd(out, r.rev)
			}
			return nil
		})
		if err != nil || len(out) == len(b) && string(out) == string(b) {
			return
		}
		// Numbers may be written longer than need be; the meaning must be the same.
		var again []byte
		if err := eachRecord(out, func(r record) error {
			if r.kind == kindTxn {
				again = appendTxn(again, r.rev, r.ops)
			}
			return nil
		}); err != nil {
			t.Fatalf("%x became %x: %v", b, out, err)
		}
	})
}

// TestFormatKept reads a store that an earlier build wrote. SKIFF_WRITE=1 makes it anew, for a new version only.
func TestFormatKept(t *testing.T) {
	dir := filepath.Join("testdata", fmt.Sprintf("v%d", formatVersion))
	if os.Getenv("SKIFF_WRITE") != "" {
		_, files := filled(t)
		for name, b := range files {
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	files := map[string][]byte{}
	names, err := filepath.Glob(filepath.Join(dir, "*-*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	tmp := t.TempDir()
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Join(tmp, filepath.Base(name))] = b
	}
	if rev, err := tryOpen(tmp, files); err != nil || rev != filledRevision {
		t.Errorf("revision %d, %v", rev, err)
	}
}
