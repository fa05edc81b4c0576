package disk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/skiff-k8s/skiff/internal/store"
)

// The commit pipeline. With mu held but for the write itself:
//
//	check     comparisons against the last *accepted* state: the index, with what
//	          is on its way (pending) over it
//	accept    give it the next revision, append its record to the buffer, queue it
//	flush     whoever finds no leader is the leader: it takes the buffer and the
//	          queue, lets go of mu, writes and syncs one frame for all of them,
//	          and takes mu again
//	apply     in the order of revisions, into the index
//	hand over the first of those that queued up meanwhile is the next leader: nobody
//	          leads twice for others; then all whose transactions were in the frame return
//
// Invariants
//   - accepted >= the index's revision; every accepted transaction is in the
//     queue, in the leader's hands, or applied. The next one has revision accepted+1.
//   - Revisions are applied in order. What is applied is durable, but for lazy
//     transactions: those are applied at once when there is no leader (so nothing
//     is on its way), and queue like the others when there is.
//   - Records are in the buffer, and so in the log, in the order of their revisions.
//   - One frame at a time is written, by the leader, and the next one only after
//     it is synced: the log has at most one unfinished frame, its last.
//   - A failed write or sync ends the store: nobody knows what is on the disk.
//   - A frame that finds no room was never written: its revisions, and all accepted on
//     top of them, never happen, and are given again.
//
// Lock order: Store.mu, then wal.mu or the index's.

// pending is what an accepted transaction will have made of a key.
type pending struct {
	by  *commit
	mod int64 // what comparisons see: the revision, or 0 when the key is deleted
}

// commit is something accepted on its way.
type commit struct {
	rev     int64
	ops     []store.Op
	compact int64             // a compaction instead, to this revision
	turn    func(error) error // a turn of the log instead: called by the leader after the frame
	frees   bool              // may use the reserve
	err     error
	wake    chan bool     // nil for the first leader; true: lead, false: it is over
	over    chan struct{} // made by those who wait for somebody else's
}

// maxBuffer is how long the buffer may get before commits wait for the disk.
const maxBuffer = 4 << 20

// maxLazy is how long the buffer of lazy transactions may get before one must wait.
const maxLazy = 64 << 10

// Commit runs a transaction.
func (s *Store) Commit(ctx context.Context, t store.Txn) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return s.settle(func() (*commit, int64, error) { return s.accept(&t) })
}

// settle has something accepted and returns when it is over. accept is called with mu held, and says
// so when there is nothing to wait for by returning no commit.
func (s *Store) settle(accept func() (*commit, int64, error)) (int64, error) {
	for tries := 1; ; tries++ {
		s.mu.Lock()
		c, rev, err := accept()
		if c == nil {
			s.mu.Unlock()
			return rev, err
		}
		if s.await(c); c.err == nil {
			return c.rev, nil
		}
		// What frees space may have been in one frame with what does not. The store
		// knows now that the disk is full, and accepts only the former.
		if !c.frees || tries == 3 || !errors.Is(c.err, store.ErrFull) {
			return 0, c.err
		}
	}
}

// accept checks a transaction and puts it on its way. mu is held.
func (s *Store) accept(t *store.Txn) (*commit, int64, error) {
	frees := slices.ContainsFunc(t.Then, func(op store.Op) bool { return op.Delete })
	for {
		if err := s.broken(); err != nil {
			return nil, 0, err
		}
		if s.flushing && len(s.buf) > maxBuffer {
			s.round.Wait()
			continue
		}
		ok, blocker := s.check(t.If)
		if ok {
			break
		}
		if blocker == nil {
			rev, _ := s.x.Revision()
			return nil, rev, store.ErrConflict
		}
		s.waitFor(blocker)
	}
	if s.full && !frees {
		if err := s.log.stillFull(); err != nil {
			return nil, 0, fullOr(err)
		}
	}
	if n := sizeOf(t.Then); n > maxTxn {
		return nil, 0, fmt.Errorf("a transaction of %d bytes is too large, %d is the most", n, maxTxn)
	}
	s.accepted++
	rev := s.accepted
	s.buf = appendTxn(s.buf, rev, t.Then)
	if t.Lazy && !s.flushing && !s.full && len(s.buf) < maxLazy {
		s.x.Apply(rev, t.Then)
		s.lazy = len(s.buf)
		s.flushSoon()
		return nil, rev, nil
	}
	c := &commit{rev: rev, ops: t.Then, frees: frees}
	for i := range t.Then {
		p := pending{c, rev}
		if t.Then[i].Delete {
			p.mod = 0
		}
		s.pending[t.Then[i].Key] = p
	}
	return c, rev, nil
}

// maxTxn keeps what one caller asks for from being the whole log.
const maxTxn = 256 << 20

func sizeOf(ops []store.Op) (n int) {
	for i := range ops {
		n += len(ops[i].Key) + len(ops[i].Value)
	}
	return n
}

// check compares with the last accepted state. When that is why a comparison
// fails, and the visible state is as the caller thinks, blocker is what comes between:
// the caller must not hear of a conflict that it cannot see yet, or it would try again in vain.
func (s *Store) check(cs []store.Compare) (ok bool, blocker *commit) {
	for _, c := range cs {
		p, onItsWay := s.pending[c.Key]
		if onItsWay && p.mod == c.Mod {
			continue
		}
		seen := s.x.Mod(c.Key)
		if !onItsWay && seen == c.Mod {
			continue
		}
		if onItsWay && seen == c.Mod {
			return false, p.by
		}
		return false, nil
	}
	return true, nil
}

// waitFor waits until somebody else's commit is over. mu is held, but not while it waits.
func (s *Store) waitFor(c *commit) {
	if c.over == nil {
		c.over = make(chan struct{})
	}
	over := c.over
	s.mu.Unlock()
	<-over
	s.mu.Lock()
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

// await queues c and returns when it is over, with c.err set. mu is held at the start and let go of.
func (s *Store) await(c *commit) {
	s.queue = append(s.queue, c)
	if !s.flushing {
		s.flushing = true
		s.flush(c)
		s.mu.Unlock()
		return
	}
	c.wake = make(chan bool, 1)
	s.mu.Unlock()
	if lead := <-c.wake; lead {
		s.mu.Lock()
		s.flush(c)
		s.mu.Unlock()
	}
}

// flush makes one round as the leader, whose own commit is me (nil: nobody's). mu is held, and let go of
// while the disk works.
func (s *Store) flush(me *commit) error {
	buf, queue, lazy, last := s.buf, s.queue, s.lazy, s.accepted
	s.buf, s.queue, s.lazy, s.spare = s.emptyBuffer(), nil, frameHead, nil
	s.mu.Unlock()

	var err error
	if len(buf) > frameHead {
		frees := !slices.ContainsFunc(queue, func(c *commit) bool { return !c.frees })
		err = s.log.append(buf, last, frees)
	}
	for _, c := range queue {
		if c.turn == nil {
			continue
		}
		if c.err = c.turn(err); err == nil && c.err != nil && !errors.Is(c.err, store.ErrFull) {
			err = c.err
		}
	}

	s.mu.Lock()
	switch {
	case err == nil:
		s.full = false
		s.apply(queue)
	case errors.Is(err, store.ErrFull):
		s.full = true
		queue = s.refuse(queue, err)
		// The lazy ones are applied: their records must come before whatever is next.
		s.buf, s.lazy, buf = buf[:lazy], lazy, nil
	default:
		s.fail(err)
		queue = s.refuse(queue, s.broken())
	}
	if cap(buf) > 0 && cap(buf) <= maxBuffer {
		s.spare = buf
	}
	s.handOver()
	s.tidy()
	for _, c := range queue {
		if c.over != nil {
			close(c.over)
		}
		if c != me && c.wake != nil {
			c.wake <- false
		}
	}
	return err
}

// emptyBuffer has room for the head of a frame only.
func (s *Store) emptyBuffer() []byte {
	if s.spare == nil {
		return make([]byte, frameHead, 4<<10)
	}
	return s.spare[:frameHead]
}

// handOver makes the first in the queue the leader. mu is held.
func (s *Store) handOver() {
	if len(s.queue) > 0 {
		s.queue[0].wake <- true
	} else {
		s.flushing = false
	}
	s.round.Broadcast()
}

// apply makes what is durable visible. mu is held.
func (s *Store) apply(queue []*commit) {
	for _, c := range queue {
		switch {
		case c.turn != nil:
		case c.compact != 0:
			c.err = s.x.Forget(c.compact)
		default:
			s.x.Apply(c.rev, c.ops)
			for i := range c.ops {
				if s.pending[c.ops[i].Key].by == c {
					delete(s.pending, c.ops[i].Key)
				}
			}
		}
	}
}

// refuse fails what was to be written and all that was accepted after it, and returns both. mu is held.
func (s *Store) refuse(queue []*commit, err error) []*commit {
	queue = append(queue, s.queue...)
	for _, c := range queue {
		c.err = err
	}
	s.queue, s.buf, s.lazy = nil, s.buf[:frameHead], frameHead
	clear(s.pending)
	s.accepted, _ = s.x.Revision()
	return queue
}

// fail ends the store. mu is held.
func (s *Store) fail(err error) {
	if s.failed == nil {
		s.failed = fmt.Errorf("the log of %s could not be written (%w); what was acknowledged before is safe: see to the disk, then start again", s.dir, err)
		s.x.Close(s.broken())
	}
}

// flushSoon sees to it that lazy writes reach the disk though nobody waits for them. mu is held.
func (s *Store) flushSoon() {
	if s.timer != nil {
		return
	}
	s.timer = time.AfterFunc(s.o.LazyDelay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.timer = nil
		if !s.flushing && !s.closed && s.failed == nil && len(s.buf) > frameHead {
			s.flushing = true
			s.flush(nil)
		}
	})
}
