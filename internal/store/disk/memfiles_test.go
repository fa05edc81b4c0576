package disk

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// memFiles is a file system in memory that can lose power, run full and fail. What was
// written but not synced survives a loss of power sector by sector, by chance; names, in
// the order in which they were changed, up to a chance point.
type memFiles struct {
	mu      sync.Mutex
	names   map[string]*memNode
	durable map[string]*memNode
	changes []func(map[string]*memNode) // of names, since the last syncDir

	off      bool  // power is gone: everything fails
	capacity int64 // of all files together; 0: no limit
	inPlace  bool  // capacity also refuses, by chance, to write what exists
	rng      *rand.Rand

	ops    int // so many were asked for
	failAt int // this one fails, if above 0; the half of a write is done
}

type memNode struct {
	data, durable []byte
}

func newMemFiles() *memFiles {
	return &memFiles{names: map[string]*memNode{}, durable: map[string]*memNode{}}
}

// step counts an operation and says whether it fails. mu is held.
func (m *memFiles) step() error {
	m.ops++
	if m.off || m.ops == m.failAt {
		return syscall.EIO
	}
	return nil
}

func (m *memFiles) used() (n int64) {
	seen := map[*memNode]bool{}
	for _, f := range m.names {
		if !seen[f] {
			n += int64(len(f.data))
		}
		seen[f] = true
	}
	return n
}

// cut takes the power away and returns the file system as it is when the power is back.
func (m *memFiles) cut(rng *rand.Rand) *memFiles {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off = true
	names := maps.Clone(m.durable)
	for _, change := range m.changes[:rng.IntN(len(m.changes)+1)] {
		change(names)
	}
	after := newMemFiles()
	for name, n := range names {
		b := n.survivor(rng)
		after.names[name] = &memNode{data: b, durable: slices.Clone(b)}
	}
	after.durable = maps.Clone(after.names)
	return after
}

func (n *memNode) survivor(rng *rand.Rand) []byte {
	size := len(n.durable)
	if more := len(n.data) - size; more > 0 {
		size += rng.IntN(more + 1)
	}
	b := make([]byte, size)
	copy(b, n.durable)
	keep := rng.Float64() // so that all, nothing and every share of it comes up
	for at := 0; at < size; at += sector {
		end := min(at+sector, size)
		if rng.Float64() < keep {
			copy(b[at:end], n.data[at:end])
		}
	}
	return b
}

func (m *memFiles) change(f func(map[string]*memNode)) {
	f(m.names)
	m.changes = append(m.changes, f)
}

func (m *memFiles) open(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step(); err != nil {
		return nil, err
	}
	n, ok := m.names[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memFile{m, n}, nil
}

func (m *memFiles) create(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step(); err != nil {
		return nil, err
	}
	n := &memNode{}
	m.change(func(names map[string]*memNode) { names[name] = n })
	return &memFile{m, n}, nil
}

func (m *memFiles) rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step(); err != nil {
		return err
	}
	n, ok := m.names[from]
	if !ok {
		return fs.ErrNotExist
	}
	m.change(func(names map[string]*memNode) {
		delete(names, from)
		names[to] = n
	})
	return nil
}

func (m *memFiles) remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step(); err != nil {
		return err
	}
	if _, ok := m.names[name]; !ok {
		return fs.ErrNotExist
	}
	m.change(func(names map[string]*memNode) { delete(names, name) })
	return nil
}

func (m *memFiles) list(dir string) (names []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step(); err != nil {
		return nil, err
	}
	for name := range m.names {
		if filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	return names, nil
}

func (m *memFiles) syncDir(string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step(); err != nil {
		return err
	}
	m.durable, m.changes = maps.Clone(m.names), nil
	return nil
}

type memFile struct {
	m *memFiles
	n *memNode
}

func (f *memFile) ReadAt(b []byte, at int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.m.step(); err != nil {
		return 0, err
	}
	if at >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.n.data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(b []byte, at int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	err := f.m.step()
	if f.m.off {
		return 0, err
	}
	if err == nil && f.m.capacity > 0 {
		grow := max(0, at+int64(len(b))-int64(len(f.n.data)))
		if grow > 0 && f.m.used()+grow > f.m.capacity || f.m.inPlace && !allZero(b) && len(b) > headerSize && f.m.rng.IntN(4) == 0 {
			err = fmt.Errorf("write: %w", syscall.ENOSPC)
		}
	}
	if err != nil {
		// Up to a sector's end: the kernel copies page by page.
		b = b[:max(0, (at+int64(len(b)/2))&^(sector-1)-at)]
	}
	if grow := at + int64(len(b)) - int64(len(f.n.data)); grow > 0 {
		f.n.data = append(f.n.data, make([]byte, grow)...)
	}
	return copy(f.n.data[at:], b), err
}

func (f *memFile) size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.n.data)), f.m.step()
}

func (f *memFile) sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.m.step(); err != nil {
		return err
	}
	f.n.durable = slices.Clone(f.n.data)
	return nil
}

func (f *memFile) append(b []byte, at int64) error {
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	return f.sync()
}

func (f *memFile) Close() error { return nil }
