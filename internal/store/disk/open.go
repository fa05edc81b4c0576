package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/skiff-k8s/skiff/internal/store/index"
)

// Open opens the store in a directory, or makes one there.
func Open(dir string, o Options) (*Store, error) {
	o.complete()
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, o: o, lock: lock, pending: map[string]pending{}}
	s.round.L = &s.mu
	s.log = wal{dir: dir, o: &s.o, seq: 1}
	s.buf, s.lazy = s.emptyBuffer(), frameHead
	s.life, s.end = context.WithCancel(context.Background())
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.log.close(), unlock(lock))
	}
	return s, nil
}

func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return osFiles{}.syncDir(filepath.Dir(filepath.Clean(dir)))
}

// contents is the numbers of the files in a store, ascending.
type contents struct {
	snapshots, segments []uint64
	unfinished          []string
}

func (s *Store) find() (contents, error) {
	var c contents
	names, err := s.o.files.list(s.dir)
	if err != nil {
		return c, err
	}
	for _, name := range names {
		prefix, digits, _ := strings.Cut(name, "-")
		number, err := strconv.ParseUint(digits, 16, 64)
		switch {
		case strings.HasSuffix(name, ".tmp"):
			c.unfinished = append(c.unfinished, filepath.Join(s.dir, name))
		case (prefix == "wal" || prefix == "snap") && len(digits) == 16:
			return c, fmt.Errorf("store %s is of format version 1, from before the first release: this Skiff cannot read it; move it away to start empty", s.dir)
		case err != nil || len(digits) != 16:
		case prefix == "snapshot":
			c.snapshots = append(c.snapshots, number)
		case prefix == "log":
			c.segments = append(c.segments, number)
		}
	}
	slices.Sort(c.snapshots)
	slices.Sort(c.segments)
	return c, nil
}

// load reads the newest snapshot and the log behind it, and makes ready to go on.
func (s *Store) load() error {
	found, err := s.find()
	if err != nil {
		return err
	}
	first := uint64(1)
	s.x = index.New(1)
	if n := len(found.snapshots); n > 0 {
		first = found.snapshots[n-1]
		if err := s.loadSnapshot(first); err != nil {
			return err
		}
	}
	s.accepted, _ = s.x.Revision()
	segments := slices.DeleteFunc(slices.Clone(found.segments), func(n uint64) bool { return n < first })
	r := replay{s: s, first: first, fromSnapshot: len(found.snapshots) > 0, base: s.accepted}
	if err := r.all(segments); err != nil {
		return err
	}
	// Only now is anything changed or removed: the store is known to be whole without it.
	for _, name := range found.unfinished {
		if err := s.o.files.remove(name); err != nil {
			return err
		}
	}
	if err := r.goOn(); err != nil {
		return err
	}
	s.x.Cut()
	if !slices.ContainsFunc(slices.Concat(found.snapshots, found.segments), func(n uint64) bool { return n < first }) {
		return nil
	}
	// The snapshot must not go without what it stands for: its name may not be durable yet.
	if err := s.o.files.syncDir(s.dir); err != nil {
		return err
	}
	return s.sweep(first)
}

// damage is what Open returns for a store that it must not touch.
func damage(name string, at int64, err error) error {
	if errors.Is(err, errVersion) {
		return fmt.Errorf("store file %s: %w: open it with the Skiff that wrote it, or a newer one", name, err)
	}
	return fmt.Errorf("store file %s is damaged at offset %d (%w): restore the directory %s from a backup, or move it away to start empty", name, at, err, filepath.Dir(name))
}

func readAll(f file) ([]byte, error) {
	size, err := f.size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, cmp.Or(err, io.ErrUnexpectedEOF)
	}
	return b, nil
}

// loadSnapshot puts a snapshot into the index, frame by frame.
func (s *Store) loadSnapshot(number uint64) error {
	name := s.snapshotName(number)
	f, err := s.o.files.open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.size()
	if err != nil {
		return err
	}
	b := make([]byte, min(headerSize, size))
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return cmp.Or(err, io.ErrUnexpectedEOF)
	}
	h, err := parseHeader(b, snapMagic, number, size)
	if err != nil {
		return damage(name, 0, err)
	}
	l := loader{x: s.x, rev: h.rev, compacted: h.compacted}
	b = make([]byte, 0, snapshotFrame*2)
	seq := h.seq
	for at := int64(headerSize); at < size; seq++ {
		next, payload, err := readFrame(f, at, size, h.seal(), seq, &b)
		if err != nil {
			return damage(name, at, err)
		}
		if err := eachRecord(payload, l.record); err != nil {
			return damage(name, at, err)
		}
		at = next
	}
	if !l.ended {
		return damage(name, size, errors.New("its end is missing"))
	}
	s.x.Loaded(h.rev, h.compacted)
	return nil
}

// readFrame reads the frame at an offset, which must be whole; b is memory to use again.
func readFrame(f file, at, size int64, seal uint32, seq uint64, b *[]byte) (next int64, payload []byte, err error) {
	if size-at < frameHead {
		return 0, nil, errors.New("it ends in the middle of a frame")
	}
	var raw [frameHead]byte
	if _, err := f.ReadAt(raw[:], at); err != nil {
		return 0, nil, err
	}
	hd, ok := parseHead(raw[:], seal)
	if !ok || hd.seq != seq || int64(hd.size) > size-at-frameHead {
		return 0, nil, errors.New("the head of a frame is damaged")
	}
	payload = slices.Grow((*b)[:0], hd.size)[:hd.size]
	*b = payload
	if n, err := f.ReadAt(payload, at+frameHead); n < len(payload) {
		return 0, nil, cmp.Or(err, io.ErrUnexpectedEOF)
	}
	if !hd.intact(payload) {
		return 0, nil, errors.New("the checksum of a frame is wrong")
	}
	return at + aligned(frameHead+hd.size), payload, nil
}

// loader takes the records of a snapshot.
type loader struct {
	x              *index.Index
	rev, compacted int64
	keys           int64
	last           string
	ended          bool
}

func (l *loader) record(r record) error {
	switch {
	case l.ended:
		return errors.New("there is more behind its end")
	case r.kind == kindEnd:
		l.ended = true
		if r.rev != l.keys {
			return fmt.Errorf("it has %d keys and should have %d", l.keys, r.rev)
		}
		return nil
	case r.kind != kindKey || len(r.versions) == 0 || l.keys > 0 && r.key <= l.last:
		return errRecord
	}
	var mod int64
	for _, v := range r.versions {
		if v.Mod <= mod || v.Mod > l.rev || v.Create > v.Mod {
			return errRecord
		}
		mod = v.Mod
	}
	l.keys++
	l.last = r.key
	l.x.Load(r.key, r.versions)
	return nil
}
