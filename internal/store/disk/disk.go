// Package disk is the store on this machine's disk: the index in memory, over
// one durable log (docs/format/store.md).
//
// A commit, in order, with mu held but for the write itself:
//
//	check     comparisons against the last *accepted* state: the index, with what
//	          is on its way (pending) over it
//	accept    give it the next revision, append its record to the buffer, queue it
//	flush     whoever finds no flush under way becomes the leader: takes the
//	          buffer and the queue, lets go of mu, writes and syncs once for all
//	          of them, takes mu again, and goes on while there is more
//	apply     in the order of revisions, into the index; then the callers return
//
// Invariants
//   - accepted >= the index's revision; every accepted transaction is in the
//     queue, in the flight of the leader, or applied.
//   - What is visible (applied) is durable, except for lazy transactions, which
//     are applied at once when nothing is on its way and wait their turn otherwise.
//   - The file is written by one goroutine at a time: the leader.
//   - A failed sync ends the store: nobody knows what is on the disk.
//
// Lock order: mu, then the index's own.
package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/index"
)

// Options tune a store; the zero value is right for nearly everybody.
type Options struct {
	// SegmentBytes is how large a segment of the log gets (default 64 MiB).
	SegmentBytes int64
	// SnapshotBytes is how much log there must be before a snapshot is worth it (default 16 MiB).
	SnapshotBytes int64
	// SnapshotRatio is how many times the live state the log may be (default 3).
	SnapshotRatio int64
	// HistoryBytes bounds the past that is kept in memory (default 64 MiB): beyond
	// it, and beyond the size of the present, the store compacts by itself.
	HistoryBytes int64
	// LazyDelay is how long a lazy write may wait for the disk (default 50 ms).
	LazyDelay time.Duration
	// files is what the log is written to; tests put faults here.
	files fileSystem
}

func (o *Options) complete() {
	set := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	set(&o.SegmentBytes, 64<<20)
	set(&o.SnapshotBytes, 16<<20)
	set(&o.SnapshotRatio, 3)
	set(&o.HistoryBytes, 64<<20)
	if o.LazyDelay == 0 {
		o.LazyDelay = 50 * time.Millisecond
	}
	if o.files == nil {
		o.files = osFiles{}
	}
}

// Store is an open store.
type Store struct {
	dir  string
	o    Options
	lock *os.File
	x    *index.Index

	mu       sync.Mutex
	accepted int64
	pending  map[string]pending // keys on their way
	queue    []*commit
	buf      []byte // records of lazy commits that were applied already, then of the queue
	lazy     int    // how many bytes of buf are of lazy commits
	spare    []byte // the buffer before, to be used again
	flushing bool
	idle     sync.Cond // flushing became false
	lazyWait bool      // a timer is running
	full     bool      // the disk had no room for the last write
	failed   error
	closed   bool

	// Only the leader touches these.
	seg      segment
	written  int64 // the last revision in the file
	logBytes int64 // of all segments behind the newest snapshot
	snapping sync.WaitGroup
	snapBusy bool // guarded by mu
}

// pending is what an accepted transaction will have made of a key.
type pending struct {
	rev int64 // of the transaction
	mod int64 // what comparisons see: rev, or 0 when the key is deleted
}

// commit is an accepted transaction on its way.
type commit struct {
	rev     int64
	ops     []store.Op
	compact int64 // a compaction instead, to this revision
	err     error
	done    chan struct{}
}

func (s *Store) Get(_ context.Context, key string, rev int64) (store.KV, int64, error) {
	return s.x.Get(key, rev)
}

func (s *Store) Range(_ context.Context, from, to string, limit int, rev int64) (store.Page, error) {
	return s.x.Range(from, to, limit, rev)
}

func (s *Store) Watch(_ context.Context, from, to string, rev int64) (store.Watch, error) {
	return s.x.Watch(from, to, rev)
}

func (s *Store) Revision() (current, compacted int64) { return s.x.Revision() }

// mod is the revision of a key in the last accepted state.
func (s *Store) mod(key string) int64 {
	if p, ok := s.pending[key]; ok {
		return p.mod
	}
	return s.x.Mod(key)
}

func (s *Store) broken() error {
	switch {
	case s.failed != nil:
		return fmt.Errorf("%w: %w", store.ErrClosed, s.failed)
	case s.closed:
		return store.ErrClosed
	}
	return nil
}

// Commit runs a transaction.
func (s *Store) Commit(ctx context.Context, t store.Txn) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	if err := s.broken(); err != nil {
		s.mu.Unlock()
		return 0, err
	}
	for _, c := range t.If {
		if s.mod(c.Key) != c.Mod {
			rev := s.accepted
			s.mu.Unlock()
			return rev, store.ErrConflict
		}
	}
	if err := s.admit(t.Then); err != nil {
		s.mu.Unlock()
		return 0, err
	}
	rev := s.accepted + 1
	s.accepted = rev
	s.buf = appendTxn(s.buf, rev, t.Then)
	if t.Lazy && !s.flushing && len(s.queue) == 0 {
		s.x.Apply(rev, t.Then)
		s.lazy = len(s.buf)
		s.flushSoon()
		s.mu.Unlock()
		return rev, nil
	}
	c := &commit{rev: rev, ops: t.Then}
	s.enqueue(c)
	for _, op := range t.Then {
		p := pending{rev, rev}
		if op.Delete {
			p.mod = 0
		}
		s.pending[op.Key] = p
	}
	return rev, s.await(c)
}

// admit refuses puts while the disk is known to be full. mu is held.
func (s *Store) admit(ops []store.Op) error {
	if !s.full || s.flushing {
		return nil // or else the leader will find out
	}
	for _, op := range ops {
		if !op.Delete {
			err := s.seg.room(0, false)
			s.full = err != nil
			return err
		}
	}
	return nil
}

func (s *Store) enqueue(c *commit) {
	c.done = make(chan struct{})
	s.queue = append(s.queue, c)
}

// await becomes the leader if there is none, and returns when c is done. mu is
// held at the start and let go of.
func (s *Store) await(c *commit) error {
	if !s.flushing {
		s.flush()
		s.mu.Unlock()
		return c.err
	}
	s.mu.Unlock()
	<-c.done
	return c.err
}

// flush writes and applies what is queued until nothing is. mu is held, and let
// go of while the disk works.
func (s *Store) flush() {
	s.flushing = true
	for len(s.buf) > 0 && s.failed == nil {
		buf, queue, lazy, last := s.buf, s.queue, s.lazy, s.accepted
		s.buf, s.queue, s.lazy = s.spare[:0], nil, 0
		deletes := onlyDeletes(queue)
		s.mu.Unlock()
		err := s.seg.write(s, buf, deletes)
		if err == nil {
			s.written = last
		}
		s.mu.Lock()
		s.spare = buf
		if cap(buf) > 4<<20 {
			s.spare = nil
		}
		s.finish(queue, err)
		if errors.Is(err, store.ErrFull) {
			// The lazy ones were applied: their records must come before whatever is next.
			s.buf, s.spare, s.lazy = buf[:lazy], nil, lazy
			break
		}
	}
	s.flushing = false
	s.idle.Broadcast()
	s.maybeSnapshot()
}

func onlyDeletes(queue []*commit) bool {
	for _, c := range queue {
		for _, op := range c.ops {
			if !op.Delete {
				return false
			}
		}
	}
	return true
}

// finish applies what was written, or fails it. mu is held.
func (s *Store) finish(queue []*commit, err error) {
	if errors.Is(err, store.ErrFull) {
		// Nothing of the batch is in the file. Its revisions, and those accepted on
		// top of them, never happen.
		s.full = true
		s.refuse(queue, err)
		return
	}
	if err != nil {
		s.fail(err)
		s.refuse(queue, s.broken())
		return
	}
	for _, c := range queue {
		switch {
		case c.compact != 0:
			c.err = s.x.Compact(c.compact)
		default:
			s.x.Apply(c.rev, c.ops)
			for _, op := range c.ops {
				if s.pending[op.Key].rev == c.rev {
					delete(s.pending, op.Key)
				}
			}
		}
		close(c.done)
	}
}

// refuse fails a batch and everything that was accepted after it.
func (s *Store) refuse(queue []*commit, err error) {
	for _, c := range append(queue, s.queue...) {
		c.err = err
		close(c.done)
	}
	s.queue, s.buf = nil, s.buf[:0]
	clear(s.pending)
	s.accepted, _ = s.x.Revision()
}

func (s *Store) fail(err error) {
	if s.failed == nil {
		s.failed = fmt.Errorf("the log could not be written (%w); what was acknowledged before is safe: mend the disk and start again", err)
		s.x.Close(s.broken())
	}
}

// flushSoon sees to it that lazy writes reach the disk though nobody waits for them. mu is held.
func (s *Store) flushSoon() {
	if s.lazyWait {
		return
	}
	s.lazyWait = true
	time.AfterFunc(s.o.LazyDelay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lazyWait = false
		if !s.flushing && !s.closed {
			s.flush()
		}
	})
}

// Compact forgets history before rev.
func (s *Store) Compact(_ context.Context, rev int64) error {
	s.mu.Lock()
	if err := s.broken(); err != nil {
		s.mu.Unlock()
		return err
	}
	current, compacted := s.x.Revision()
	if rev > current {
		s.mu.Unlock()
		return fmt.Errorf("%w: %d, the last is %d", store.ErrFuture, rev, current)
	}
	if rev <= compacted {
		s.mu.Unlock()
		return nil
	}
	s.buf = appendCompact(s.buf, rev)
	c := &commit{compact: rev}
	s.enqueue(c)
	return s.await(c)
}

// Close writes out what is left and closes.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	for s.flushing {
		s.idle.Wait()
	}
	if s.failed == nil && len(s.buf) > 0 {
		s.flush()
	}
	s.closed = true
	s.x.Close(store.ErrClosed)
	failed := s.failed
	s.mu.Unlock()
	s.snapping.Wait()
	err := s.seg.close()
	s.lock.Close()
	if failed != nil {
		return nil // it was told to every writer
	}
	return err
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
