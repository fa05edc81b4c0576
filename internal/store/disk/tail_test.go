package disk

import (
	"bytes"
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// TestAppend appends pieces of all sizes to a file of zeroes, past the page cache and without, closes it
// now and then, and compares what is in it with what it should be.
func TestAppend(t *testing.T) {
	rng := seeded(t)
	for name, direct := range map[string]bool{"direct": true, "buffered": false} {
		t.Run(name, func(t *testing.T) {
			const size = 8 << 20
			path := filepath.Join(t.TempDir(), "f")
			f, err := osFiles{}.create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := fill(f, 0, size); err != nil {
				t.Fatal(err)
			}
			want := make([]byte, size)
			at := int64(0)
			for {
				// Sizes around all that is special: a page, several, and more than is written at once.
				n := 1 + rng.IntN(3000)
				if sizes := []int{page - int(at%page), page, 2*page + 1, keptTail + rng.IntN(page), maxDirect, maxDirect + 5000}; rng.IntN(3) == 0 {
					n = sizes[rng.IntN(len(sizes))]
				}
				if at+int64(n) > size {
					break
				}
				b := make([]byte, n)
				for i := range b {
					b[i] = byte(rng.Uint32())
				}
				copy(want[at:], b)
				if !direct && f.(*osFile).tail == nil {
					f.(*osFile).tail = &tail{}
				}
				if err := f.append(b, at); err != nil {
					t.Fatal(err)
				}
				at += int64(n) + rng.Int64N(2)*rng.Int64N(frameAlign) // frames are aligned
				if f.(*osFile).tail.direct == nil && direct {
					t.Skip("this file system has no direct writes")
				}
				if rng.IntN(5) == 0 {
					if err := f.Close(); err != nil {
						t.Fatal(err)
					}
					if f, err = (osFiles{}).open(path); err != nil {
						t.Fatal(err)
					}
				}
			}
			got, err := readAll(f)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("byte %d differs", i)
					}
				}
			}
			f.Close()
		})
	}
}

// TestAppendUnaligned: a file system that wants direct writes otherwise than they come gets them through the page cache.
func TestAppendUnaligned(t *testing.T) {
	f, err := osFiles{}.create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := fill(f, 0, 4*page); err != nil {
		t.Fatal(err)
	}
	o := f.(*osFile)
	if err := o.append([]byte("one"), 0); err != nil {
		t.Fatal(err)
	}
	if o.tail.direct == nil {
		t.Skip("this file system has no direct writes")
	}
	o.tail.mem = make([]byte, 4*page+1)[1:] // as the kernel does not want it
	copy(o.tail.mem, "one")
	if _, err := o.tail.direct.WriteAt(o.tail.mem[:page], 0); !errors.Is(err, syscall.EINVAL) {
		t.Skip("this file system takes any memory")
	}
	if err := o.append([]byte("two"), 3); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 7)
	if _, err := o.ReadAt(b, 0); err != nil || string(b) != "onetwo\x00" {
		t.Errorf("%q, %v", b, err)
	}
	if o.tail.direct != nil {
		t.Error("it still tries")
	}
}
