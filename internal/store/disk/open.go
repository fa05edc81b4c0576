package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/index"
)

// Open opens the store in a directory, or makes one there.
func Open(dir string, o Options) (*Store, error) {
	o.complete()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, o: o, lock: lock, pending: map[string]pending{}}
	s.idle.L = &s.mu
	if err := s.load(); err != nil {
		lock.Close()
		return nil, err
	}
	return s, nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("store %s is open in another process", dir)
	}
	return f, nil
}

// named lists the files with a prefix and the revisions in their names, ascending.
func named(dir, prefix string) ([]int64, error) {
	es, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []int64
	for _, e := range es {
		var rev int64
		name, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok || len(name) != 16 {
			continue
		}
		if _, err := fmt.Sscanf(name, "%016x", &rev); err == nil {
			out = append(out, rev)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (s *Store) walFile(rev int64) string { return filepath.Join(s.dir, fmt.Sprintf("wal-%016x", rev)) }
func (s *Store) snapFile(rev int64) string {
	return filepath.Join(s.dir, fmt.Sprintf("snap-%016x", rev))
}

// load reads the newest snapshot and replays the log behind it.
func (s *Store) load() error {
	stale, err := filepath.Glob(filepath.Join(s.dir, "*.new"))
	if err != nil {
		return err
	}
	for _, f := range stale {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	snaps, err := named(s.dir, "snap-")
	if err != nil {
		return err
	}
	base := int64(1)
	if n := len(snaps); n > 0 {
		base = snaps[n-1]
	}
	s.x = index.New(base)
	if len(snaps) > 0 {
		if err := s.loadSnapshot(base); err != nil {
			return err
		}
	}
	s.accepted = base
	wals, err := named(s.dir, "wal-")
	if err != nil {
		return err
	}
	defer func() { s.written = s.accepted }()
	return s.loadLog(wals)
}

func damaged(file string, at int, err error) error {
	return fmt.Errorf("store file %s is damaged at offset %d (%w): restore a backup of the directory, or move it away to start empty", file, at, err)
}

func (s *Store) loadSnapshot(rev int64) error {
	file := s.snapFile(rev)
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	have, err := readHeader(b, snapMagic)
	if err == nil && have != rev {
		err = errors.New("its name does not match its header")
	}
	if err != nil {
		return damaged(file, 0, err)
	}
	at, keys := headerSize, int64(0)
	for {
		raw, n, err := nextRecord(b[at:])
		if err == nil && n == 0 {
			err = errors.New("it ends too early")
		}
		var r body
		if err == nil {
			r, err = parseBody(raw)
		}
		if err != nil {
			return damaged(file, at, err)
		}
		at += n
		switch {
		case r.kind == kindKey:
			s.x.Load(r.kv.Key, []index.Version{{Create: r.kv.Create, Mod: r.kv.Mod, Value: r.kv.Value}})
			keys++
		case r.kind == kindEnd && r.rev == keys && at == len(b):
			return nil
		default:
			return damaged(file, at-n, errRecord)
		}
	}
}

// loadLog replays the segments and goes on writing in the last one.
func (s *Store) loadLog(wals []int64) error {
	for i, first := range wals {
		end, err := s.replay(first, i == len(wals)-1)
		if err != nil {
			return err
		}
		if i == len(wals)-1 {
			return s.reopen(first, end)
		}
	}
	return s.newSegment(s.accepted)
}

// replay applies a segment; end is where its last good record ends.
func (s *Store) replay(first int64, last bool) (end int, err error) {
	file := s.walFile(first)
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	if last && (len(b) < headerSize || allZero(b[:headerSize])) {
		// The crash came while the segment was being made: nothing was ever in it.
		return 0, nil
	}
	have, err := readHeader(b, walMagic)
	if err == nil && have != first {
		err = errors.New("its name does not match its header")
	}
	if err == nil && first > s.accepted {
		err = fmt.Errorf("the revisions from %d to %d are missing before it", s.accepted+1, first)
	}
	if err != nil {
		return 0, damaged(file, 0, err)
	}
	at := headerSize
	for {
		raw, n, err := nextRecord(b[at:])
		var r body
		if err == nil && n > 0 {
			r, err = parseBody(raw)
		}
		if err != nil || n == 0 {
			if last && !s.goodRecordAfter(b[at:]) {
				return at, nil
			}
			if err == nil && (!last && allZero(b[at:])) {
				return at, nil
			}
			if err == nil {
				err = errors.New("there are records behind its end")
			}
			return 0, damaged(file, at, err)
		}
		if err := s.replayRecord(r); err != nil {
			return 0, damaged(file, at, err)
		}
		at += n
	}
}

func (s *Store) replayRecord(r body) error {
	switch r.kind {
	case kindCompact:
		return s.x.Compact(min(r.rev, s.accepted))
	case kindTxn:
		switch {
		case r.rev <= s.accepted: // the snapshot has it
			return nil
		case r.rev != s.accepted+1:
			return fmt.Errorf("revision %d follows %d", r.rev, s.accepted)
		}
		s.x.Apply(r.rev, r.ops)
		s.accepted = r.rev
		return nil
	}
	return errRecord
}

// goodRecordAfter looks for a whole transaction of a later revision anywhere in
// b: if there is one, what is before it is no torn tail.
func (s *Store) goodRecordAfter(b []byte) bool {
	for at := 1; at+recordHead < len(b); at++ {
		if b[at] == 0 && b[at+1] == 0 && b[at+2] == 0 && b[at+3] == 0 {
			continue
		}
		raw, n, err := nextRecord(b[at:])
		if err != nil || n == 0 {
			continue
		}
		if r, err := parseBody(raw); err == nil && r.kind == kindTxn && r.rev > s.accepted {
			return true
		}
	}
	return false
}

var _ store.Store = (*Store)(nil)
