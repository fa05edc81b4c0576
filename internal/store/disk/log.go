package disk

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/skiff-k8s/skiff/internal/store"
)

// wal is the log: the segment that is written, and the one made ready to follow.
//
// Segments are full of synced zeroes before they are used: a sync of such space
// writes data and no metadata, which is several times faster, and it cannot fail
// for want of space. Only one goroutine at a time, the leader of the commit pipeline, may call
// append and turn. Making the next segment ready goes on beside it, once the current one is half full.
type wal struct {
	dir string
	o   *Options

	// The leader's.
	seg    segment
	number uint64
	seq    uint64 // of the next frame
	rev    int64  // the last revision in the file

	mu      sync.Mutex
	ends    []segmentEnd // of the segments since the snapshot, but for the current one
	next    *segment
	nextErr error
	failed  time.Time // when making a segment found the disk full
	making  chan struct{}
}

// segmentEnd is where a segment that is complete ends.
type segmentEnd struct {
	number uint64
	end    int64
}

type segment struct {
	f    file
	size int64
	end  int64 // where the next frame goes
	seal uint32
}

const (
	firstSegment = 1 << 20
	// reserve is the space of a segment that only transactions that delete may use.
	reserve = 256 << 10
	page    = 4096
)

func (l *wal) name(number uint64) string {
	return filepath.Join(l.dir, fmt.Sprintf("log-%016x", number))
}

func (g *segment) reserve() int64 { return min(reserve, g.size/4) }

// fits says whether n bytes go in; only those who free space may use the reserve.
func (g *segment) fits(n int64, frees bool) bool {
	if !frees {
		n += g.reserve()
	}
	return g.end+n <= g.size
}

// append writes a frame and syncs; b has room for the head and then the payload. rev is the
// last revision in it. With ErrFull nothing is in the file; after any other error
// nobody knows what is.
func (l *wal) append(b []byte, rev int64, frees bool) error {
	need := aligned(len(b))
	if !l.seg.fits(need, frees) {
		if err := l.turn(need); err != nil && (!isFull(err) || !l.seg.fits(need, frees)) {
			return fullOr(err)
		}
	}
	g := &l.seg
	finishFrame(b, g.end, g.seal, l.seq)
	if err := g.f.append(b, g.end); err != nil {
		if !isFull(err) {
			return err
		}
		// Only file systems that never write in place get here. What comes next must find zeroes.
		if undo := fill(g.f, g.end, g.end+need); undo != nil {
			return fmt.Errorf("%v, and then it could not be undone: %w", err, undo)
		}
		return fullOr(err)
	}
	g.end += need
	l.seq++
	l.rev = rev
	if g.end > g.size/2 {
		l.makeNext()
	}
	return nil
}

func fullOr(err error) error {
	if isFull(err) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return err
}

// turn begins the next segment, which has room for a frame of need bytes.
func (l *wal) turn(need int64) error {
	next, err := l.takeNext(need)
	if err != nil {
		return err
	}
	h := header{magic: logMagic, salt: rand.Uint32(), number: l.number + 1, size: next.size, rev: l.rev, seq: l.seq}
	if err := next.f.append(h.encode(), 0); err != nil {
		next.f.Close()
		// Even for want of space: nobody knows whether the segment is begun now.
		return fmt.Errorf("begin segment %s: %v", l.name(h.number), err)
	}
	// The segment before is complete only with this one: its header is there before any frame is acknowledged.
	next.end, next.seal = headerSize, h.seal()
	l.mu.Lock()
	if l.seg.f != nil {
		l.ends = append(l.ends, segmentEnd{l.number, l.seg.end})
	}
	l.mu.Unlock()
	if l.seg.f != nil {
		l.seg.f.Close()
	}
	l.seg, l.number = *next, h.number
	return nil
}

// takeNext returns the segment made ready, or makes one. Only the leader calls it.
func (l *wal) takeNext(need int64) (*segment, error) {
	l.wait()
	l.mu.Lock()
	next, err := l.next, l.nextErr
	l.next, l.nextErr = nil, nil
	l.mu.Unlock()
	size := l.nextSize()
	for size/4*3-headerSize < need {
		size *= 2
	}
	switch {
	case err != nil && !isFull(err):
		return nil, err
	case next != nil && next.size >= size:
		return next, nil
	case next != nil: // too small: made anew under the same name
		next.f.Close()
	default:
		if err := l.stillFull(); err != nil {
			return nil, err
		}
	}
	next, err = l.make(l.number+1, size)
	if isFull(err) {
		l.mu.Lock()
		l.failed = l.o.now()
		l.mu.Unlock()
	}
	return next, err
}

// nextSize doubles up to the limit.
func (l *wal) nextSize() int64 {
	size := int64(firstSegment)
	if l.seg.f != nil {
		size = l.seg.size * 2
	}
	return max(min(size, l.o.SegmentBytes), page)
}

// makeNext begins to make the next segment ready, unless it is, or is being made.
func (l *wal) makeNext() {
	if l.stillFull() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.making != nil || l.next != nil || l.nextErr != nil {
		return
	}
	done := make(chan struct{})
	l.making = done
	number, size := l.number+1, l.nextSize()
	go func() {
		next, err := l.make(number, size)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.next, l.nextErr, l.making = next, err, nil
		if isFull(err) {
			l.failed, l.nextErr = l.o.now(), nil
		}
		close(done)
	}()
}

// wait returns when no segment is being made.
func (l *wal) wait() {
	l.mu.Lock()
	making := l.making
	l.mu.Unlock()
	if making != nil {
		<-making
	}
}

var zeroes = make([]byte, 256<<10)

// make makes a segment of zeroes.
func (l *wal) make(number uint64, size int64) (*segment, error) {
	size = (size + page - 1) &^ (page - 1)
	name := l.name(number)
	f, err := l.o.files.create(name + ".tmp")
	if err != nil {
		return nil, err
	}
	err = fill(f, 0, size)
	if err == nil {
		err = l.o.files.rename(name+".tmp", name)
	}
	if err == nil {
		err = l.o.files.syncDir(l.dir)
	}
	if err != nil {
		f.Close()
		l.o.files.remove(name + ".tmp")
		return nil, fmt.Errorf("make segment %s: %w", name, err)
	}
	l.mu.Lock()
	l.failed = time.Time{}
	l.mu.Unlock()
	return &segment{f: f, size: size}, nil
}

// syncStep is how many zeroes are written before they are synced: not so many that the commits
// beside have to wait for them.
const syncStep = 1 << 20

// fill writes zeroes and syncs.
func fill(f file, from, to int64) error {
	for at, unsynced := from, int64(0); at < to; {
		n := min(to-at, int64(len(zeroes)))
		if _, err := f.WriteAt(zeroes[:n], at); err != nil {
			return err
		}
		at += n
		unsynced += n
		if unsynced >= syncStep || at == to {
			if err := f.sync(); err != nil {
				return err
			}
			unsynced = 0
		}
	}
	return nil
}

// bytes is how long the log is since the snapshot. Only the leader calls it.
func (l *wal) bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.seg.end
	for _, e := range l.ends {
		n += e.end
	}
	return n
}

// errStillFull stands for the error of the last time.
var errStillFull = fmt.Errorf("the disk was full a moment ago: %w", syscall.ENOSPC)

// stillFull says whether it is too early to try again.
func (l *wal) stillFull() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.failed.IsZero() && l.o.now().Sub(l.failed) < l.o.FullRetry {
		return errStillFull
	}
	return nil
}

func (l *wal) close() error {
	l.wait()
	if l.next != nil {
		l.next.f.Close()
	}
	if l.seg.f == nil {
		return nil
	}
	return l.seg.f.Close()
}
