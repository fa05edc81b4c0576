// Package disk is the store on this machine's disk: the index in memory, over
// one durable log of our own (docs/format/store.md).
//
// In: transactions and compactions. Out: reads and watches, which the index
// serves and which never wait for the disk; a directory that can be opened again
// after any crash. A torn tail is cut, damage is refused with clear words, a full disk refuses
// writes but for deletions and keeps reads. When the disk fails, the store stops
// for good: every call returns ErrClosed with the reason.
//
// Read commit.go first: it has the pipeline and its invariants. Then log.go
// (segments), frame.go and record.go (the format), open.go, snapshot.go.
package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/index"
)

// Options tune a store; the zero value is right for nearly everybody.
type Options struct {
	// SegmentBytes is how large a segment of the log gets (default 16 MiB).
	SegmentBytes int64
	// SnapshotBytes is how much log there must be before a snapshot is worth it (default 16 MiB).
	SnapshotBytes int64
	// SnapshotRatio is how many times the state with its history the log may be (default 3).
	SnapshotRatio int64
	// HistoryBytes bounds the past that is kept in memory (default 64 MiB): beyond it, and beyond
	// the size of the present, the store compacts by itself, whatever its caller does. Negative: no bound.
	HistoryBytes int64
	// LazyDelay is how long a lazy write may wait for the disk (default 50 ms).
	LazyDelay time.Duration
	// FullRetry is how long after the disk was found full it is tried again (default 250 ms).
	FullRetry time.Duration
	// Log is told what nobody waits for: a tail that was cut, a snapshot that failed (default: nobody).
	Log *slog.Logger

	files fileSystem       // tests put faults here
	now   func() time.Time // for FullRetry only
}

func (o *Options) complete() {
	size := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	size(&o.SegmentBytes, 16<<20)
	size(&o.SnapshotBytes, 16<<20)
	size(&o.SnapshotRatio, 3)
	size(&o.HistoryBytes, 64<<20)
	if o.LazyDelay == 0 {
		o.LazyDelay = 50 * time.Millisecond
	}
	if o.FullRetry == 0 {
		o.FullRetry = 250 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.files == nil {
		o.files = osFiles{}
	}
	if o.now == nil {
		o.now = time.Now
	}
}

// Store is an open store.
type Store struct {
	dir  string
	o    Options
	lock *os.File
	x    *index.Index
	log  wal // the leader's

	mu       sync.Mutex // guards what follows; see commit.go
	accepted int64
	pending  map[string]pending
	queue    []*commit
	buf      []byte // a frame in the making: room for its head, lazy transactions that are applied already, then the queue's
	lazy     int    // how long buf is with the lazy ones
	spare    []byte // an older buffer, to be used again
	flushing bool   // there is a leader
	round    sync.Cond
	timer    *time.Timer // runs while lazy transactions wait
	full     bool        // the disk had no room for the last write
	failed   error
	closed   bool

	tidying  bool      // tidyUp runs
	untidied time.Time // when it failed the last time

	background sync.WaitGroup
	life       context.Context // ends with Close
	end        context.CancelFunc
}

var _ store.Store = (*Store)(nil)

func (s *Store) Get(ctx context.Context, key string, rev int64) (store.KV, int64, error) {
	if err := ctx.Err(); err != nil {
		return store.KV{}, 0, err
	}
	return s.x.Get(key, rev)
}

func (s *Store) Range(ctx context.Context, from, to string, limit int, rev int64) (store.Page, error) {
	if err := ctx.Err(); err != nil {
		return store.Page{}, err
	}
	return s.x.Range(from, to, limit, rev)
}

func (s *Store) Watch(_ context.Context, from, to string, rev int64) (store.Watch, error) {
	return s.x.Watch(from, to, rev)
}

func (s *Store) History(ctx context.Context, from, to string, rev, until int64) ([]store.Batch, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	return s.x.History(from, to, rev, until)
}

func (s *Store) Revision() (current, compacted int64) { return s.x.Revision() }

// Compact forgets history before rev.
func (s *Store) Compact(_ context.Context, rev int64) error {
	_, err := s.settle(func() (*commit, int64, error) {
		if err := s.broken(); err != nil {
			return nil, 0, err
		}
		current, compacted := s.x.Revision()
		if rev > current {
			return nil, 0, fmt.Errorf("%w: %d, the last is %d", store.ErrFuture, rev, current)
		}
		if rev <= compacted {
			return nil, 0, nil
		}
		s.buf = appendCompact(s.buf, rev)
		return &commit{compact: rev, frees: true}, 0, nil
	})
	if err == nil {
		s.x.Cut()
	}
	return err
}

// Close writes out what is left and closes.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true // no more is accepted
	s.end()
	if s.timer != nil {
		s.timer.Stop()
	}
	for s.flushing {
		s.round.Wait()
	}
	var err error
	if s.failed == nil && len(s.buf) > frameHead {
		s.flushing = true
		err = s.flush(nil)
	}
	s.mu.Unlock()
	s.x.Close(store.ErrClosed)
	s.background.Wait()
	return errors.Join(err, s.log.close(), unlock(s.lock))
}

func unlock(f *os.File) error {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_UN); err != nil {
		return err
	}
	return f.Close()
}
