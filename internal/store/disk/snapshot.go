package disk

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/index"
)

const (
	snapshotFrame = 256 << 10
	// snapshotRetry is how long after one failed the next snapshot is tried.
	snapshotRetry = 10 * time.Second
)

func (s *Store) snapshotName(number uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("snapshot-%016x", number))
}

// tidy bounds the log and the history, beside the commits. mu is held, and nobody is in the log.
func (s *Store) tidy() {
	if s.tidying || s.closed || s.failed != nil {
		return
	}
	forget, snapshot := s.untidy()
	if !forget && !snapshot {
		return
	}
	s.tidying = true
	s.background.Go(func() {
		err := s.tidyUp(forget, snapshot)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tidying = false
		if err != nil && !errors.Is(err, store.ErrClosed) {
			// The log is as good as before, only longer than it should be.
			s.untidied = s.o.now()
			s.o.Log.Warn("The store could not make a snapshot; it will try again", "dir", s.dir, "err", err)
		}
	})
}

// untidy says what is to be done.
func (s *Store) untidy() (forget, snapshot bool) {
	live, past := s.x.Bytes()
	log := s.log.bytes()
	forget = s.o.HistoryBytes >= 0 && past > max(s.o.HistoryBytes, live)
	snapshot = log > max(s.o.SnapshotBytes, s.o.SnapshotRatio*(live+past))
	if s.full && log > 2*live {
		// History is given up for space.
		forget, snapshot = true, true
	}
	if !s.untidied.IsZero() && s.o.now().Sub(s.untidied) < snapshotRetry {
		snapshot = false
		forget = forget && !s.full
	}
	return forget, snapshot
}

func (s *Store) tidyUp(forget, snapshot bool) error {
	if forget {
		s.mu.Lock()
		full := s.full
		s.mu.Unlock()
		rev, compacted := s.x.Revision()
		if !full {
			rev -= (rev - compacted) / 2 // the newer half is what people look at
		}
		if err := s.Compact(s.life, rev); err != nil {
			return err
		}
	}
	if !snapshot {
		return nil
	}
	// Turn the log: what is in the segments before is then all applied.
	var number uint64
	turn := func(err error) error {
		if err == nil {
			err = fullOr(s.log.turn(0))
		}
		if err == nil {
			number = s.log.number
			err = s.log.seg.f.sync()
		}
		return err
	}
	_, err := s.settle(func() (*commit, int64, error) {
		if err := s.broken(); err != nil {
			return nil, 0, err
		}
		return &commit{turn: turn, frees: true}, 0, nil
	})
	if err != nil {
		return err
	}
	if err := s.writeSnapshot(number); err != nil {
		return err
	}
	s.log.forget(number)
	return s.sweep(number)
}

// writeSnapshot writes the present state, with its history, as what comes before a segment.
func (s *Store) writeSnapshot(number uint64) (err error) {
	name := s.snapshotName(number)
	f, err := s.o.files.create(name + ".tmp")
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			s.o.files.remove(name + ".tmp")
		}
	}()
	w := newFrameWriter(f, header{magic: snapMagic, salt: rand.Uint32(), number: number, seq: 1})
	var keys int64
	w.h.rev, w.h.compacted, err = s.x.Dump(func(key string, vs []index.Version) error {
		keys++
		w.b = appendKey(w.b, key, vs)
		if len(w.b) < snapshotFrame {
			return nil
		}
		if err := s.life.Err(); err != nil {
			return fmt.Errorf("%w: %w", store.ErrClosed, err)
		}
		return w.flush()
	})
	if err != nil {
		return err
	}
	w.b = appendEnd(w.b, keys)
	if err = w.finish(); err != nil {
		return err
	}
	if err = s.o.files.rename(name+".tmp", name); err != nil {
		return err
	}
	return s.o.files.syncDir(s.dir)
}

// frameWriter writes the frames of a snapshot; the header goes last, for only then all of it is known.
type frameWriter struct {
	f        file
	h        header
	seal     uint32
	seq      uint64
	at       int64
	unsynced int64
	b        []byte // room for a head, and a payload
}

func newFrameWriter(f file, h header) *frameWriter {
	return &frameWriter{f: f, h: h, seal: h.seal(), seq: h.seq, at: headerSize, b: make([]byte, frameHead, snapshotFrame+8<<10)}
}

func (w *frameWriter) flush() error {
	finishFrame(w.b, w.at, w.seal, w.seq)
	w.b = append(w.b, zeroes[:aligned(len(w.b))-int64(len(w.b))]...)
	if _, err := w.f.WriteAt(w.b, w.at); err != nil {
		return err
	}
	w.at += int64(len(w.b))
	w.unsynced += int64(len(w.b))
	w.b = w.b[:frameHead]
	w.seq++
	if w.unsynced < 4*syncStep {
		return nil
	}
	w.unsynced = 0
	return w.f.sync()
}

func (w *frameWriter) finish() error {
	if err := w.flush(); err != nil {
		return err
	}
	w.h.size = w.at
	if _, err := w.f.WriteAt(w.h.encode(), 0); err != nil {
		return err
	}
	return w.f.sync()
}

// forget stops counting the segments before number.
func (l *wal) forget(number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = slices.DeleteFunc(l.ends, func(e segmentEnd) bool { return e.number < number })
}

// sweep removes the segments and snapshots before number.
func (s *Store) sweep(number uint64) error {
	found, err := s.find()
	if err != nil {
		return err
	}
	for _, n := range found.snapshots {
		if n < number {
			err = errors.Join(err, s.o.files.remove(s.snapshotName(n)))
		}
	}
	for _, n := range found.segments {
		if n < number {
			err = errors.Join(err, s.o.files.remove(s.log.name(n)))
		}
	}
	return err
}
