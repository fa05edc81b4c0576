package disk

import (
	"fmt"
	"os"

	"github.com/skiff-k8s/skiff/internal/store"
)

// segment is the file that the log goes on in. The file is written with zeroes
// ahead of the records: a sync of prepared space writes data only, no metadata, which is several times faster.
type segment struct {
	f    file
	name string
	end  int64 // where the next record goes
	size int64 // prepared so far
}

const (
	// firstStep is prepared when a segment is made, so that opening is quick; later steps are larger.
	firstStep = 512 << 10
	nextStep  = 4 << 20
	// reserve is the prepared space that only deletions may use.
	reserve = 128 << 10
)

var zeroes = make([]byte, 256<<10)

// newSegment begins a segment after revision rev.
func (s *Store) newSegment(rev int64) error {
	name := s.walFile(rev)
	f, err := s.o.files.create(name, true)
	if err != nil {
		return err
	}
	seg := segment{f: f, name: name, end: headerSize}
	if err := seg.prepare(firstStep); err == nil {
		if _, err = f.WriteAt(appendHeader(nil, walMagic, rev), 0); err == nil {
			err = f.sync()
		}
		if err == nil {
			err = syncDir(s.dir)
		}
		if err != nil {
			f.Close()
			return fmt.Errorf("begin segment %s: %w", name, err)
		}
	} else {
		f.Close()
		os.Remove(name)
		return fmt.Errorf("begin segment %s: %w", name, err)
	}
	s.logBytes += s.seg.end
	s.seg.close()
	s.seg = seg
	return nil
}

// reopen goes on in a segment whose records end at end; what follows is made zero again.
func (s *Store) reopen(first int64, end int) error {
	if end < headerSize {
		return s.newSegment(first)
	}
	name := s.walFile(first)
	f, err := s.o.files.create(name, false)
	if err != nil {
		return err
	}
	st, err := os.Stat(name)
	if err != nil {
		f.Close()
		return err
	}
	s.seg = segment{f: f, name: name, end: int64(end), size: int64(end)}
	was := st.Size()
	for s.seg.size < was {
		if err := s.seg.prepare(min(was-s.seg.size, int64(len(zeroes)))); err != nil {
			f.Close()
			return err
		}
	}
	return f.sync()
}

// prepare writes n zeroes behind what is prepared.
func (g *segment) prepare(n int64) error {
	for n > 0 {
		part := min(n, int64(len(zeroes)))
		if _, err := g.f.WriteAt(zeroes[:part], g.size); err != nil {
			return err
		}
		g.size += part
		n -= part
	}
	return nil
}

// room sees to it that n bytes, and a zero length after them, fit into prepared space.
func (g *segment) room(n int64, deletes bool) error {
	keep := int64(reserve)
	if deletes {
		keep = 0
	}
	short := g.end + n + recordHead + keep - g.size
	if short <= 0 {
		return nil
	}
	// The reserve must be left as it is when the disk fills up half-way.
	err := g.prepare(max(short, nextStep))
	if err == nil || g.end+n+recordHead+keep <= g.size {
		return nil
	}
	if isFull(err) {
		return fmt.Errorf("%w: the log needs %d bytes more", store.ErrFull, short)
	}
	return err
}

// write appends records and syncs. With ErrFull nothing was written.
func (g *segment) write(s *Store, records []byte, deletes bool) error {
	n := int64(len(records))
	if g.end+n > s.o.SegmentBytes && g.end > headerSize {
		if err := s.rotate(); err != nil && !isFull(err) {
			return err
		}
	}
	if err := g.room(n, deletes); err != nil {
		return err
	}
	if _, err := g.f.WriteAt(records, g.end); err != nil {
		return err
	}
	if err := g.f.sync(); err != nil {
		return err
	}
	g.end += n
	return nil
}

// rotate begins a segment after the last revision that is in the file. Only the leader may.
func (s *Store) rotate() error { return s.newSegment(s.written) }

func (g *segment) close() error {
	if g.f == nil {
		return nil
	}
	return g.f.Close()
}
