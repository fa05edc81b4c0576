package disk

import (
	"bufio"
	"fmt"
	"os"

	"github.com/skiff-k8s/skiff/internal/store"
)

// maybeSnapshot bounds the log and the history. It is called with mu held when a flush ended.
func (s *Store) maybeSnapshot() {
	if s.failed != nil || s.closed || s.snapBusy {
		return
	}
	live, past := s.x.Bytes()
	if past > max(s.o.HistoryBytes, live) {
		// Half of the revisions since the last time go: the newer half is what people look at.
		current, compacted := s.x.Revision()
		rev := compacted + (current-compacted)/2
		if s.x.Compact(rev) == nil {
			s.buf = append(s.buf, appendCompact(nil, rev)...)
			s.lazy = len(s.buf)
			s.flushSoon()
		}
	}
	if s.logBytes+s.seg.end < max(s.o.SnapshotBytes, s.o.SnapshotRatio*live) {
		return
	}
	s.snapBusy = true
	s.snapping.Add(1)
	go s.snapshot()
}

// snapshot writes the present state beside the log and removes what it makes needless.
func (s *Store) snapshot() {
	defer s.snapping.Done()
	err := s.writeSnapshot()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapBusy = false
	if err != nil && !isFull(err) {
		s.fail(fmt.Errorf("snapshot: %w", err))
	}
}

func (s *Store) writeSnapshot() error {
	// A new segment first: everything up to its beginning is then in the snapshot.
	// The leader's place is taken for that, so that nobody writes meanwhile.
	s.mu.Lock()
	for s.flushing {
		s.idle.Wait()
	}
	if s.closed || s.failed != nil {
		s.mu.Unlock()
		return nil
	}
	if len(s.buf) > 0 {
		s.flush()
	}
	s.flushing = true
	s.mu.Unlock()
	err := s.rotate()
	s.mu.Lock()
	s.logBytes = 0
	s.flushing = false
	s.idle.Broadcast()
	first := s.written
	if len(s.queue) > 0 {
		s.flush()
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	// What is applied meanwhile may be in the snapshot too; its name tells how far it goes.
	rev, err := s.streamSnapshot()
	if err != nil {
		return err
	}
	return s.sweep(min(first, rev), rev)
}

func (s *Store) streamSnapshot() (rev int64, err error) {
	tmp := s.dir + "/snapshot.new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(tmp)
		}
	}()
	// The header has the revision, which Each tells with the first key: it is written at the end.
	w := bufio.NewWriterSize(f, 1<<20)
	if _, err = w.Write(make([]byte, headerSize)); err != nil {
		return 0, err
	}
	var keys int64
	var b []byte
	rev, err = s.x.Each(func(kv store.KV) error {
		keys++
		b = appendKey(b[:0], kv)
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return 0, err
	}
	if _, err = w.Write(appendEnd(nil, keys)); err != nil {
		return 0, err
	}
	if err = w.Flush(); err != nil {
		return 0, err
	}
	if _, err = f.WriteAt(appendHeader(nil, snapMagic, rev), 0); err != nil {
		return 0, err
	}
	if err = f.Sync(); err != nil {
		return 0, err
	}
	if err = os.Rename(tmp, s.snapFile(rev)); err != nil {
		return 0, err
	}
	return rev, syncDir(s.dir)
}

// sweep removes the segments that end at or before first, and the snapshots before rev.
func (s *Store) sweep(first, rev int64) error {
	wals, err := named(s.dir, "wal-")
	if err != nil {
		return err
	}
	for i, w := range wals {
		// A segment ends where the next one begins.
		if i+1 < len(wals) && wals[i+1] <= first {
			if err := os.Remove(s.walFile(w)); err != nil {
				return err
			}
		}
	}
	snaps, err := named(s.dir, "snap-")
	if err != nil {
		return err
	}
	for _, n := range snaps {
		if n < rev {
			if err := os.Remove(s.snapFile(n)); err != nil {
				return err
			}
		}
	}
	return syncDir(s.dir)
}
