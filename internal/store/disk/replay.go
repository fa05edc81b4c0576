package disk

import (
	"errors"
	"fmt"
)

// replay reads the log at opening and finds where it goes on.
type replay struct {
	s            *Store
	first        uint64 // the segment to begin with
	fromSnapshot bool
	base         int64 // the revision of the snapshot, or 1

	seq  uint64 // of the frame to come
	torn error  // why the log ended early; a fault when there is a segment behind

	// The last segment that was begun, with its contents.
	number uint64
	head   header
	end    int64
	bytes  []byte
}

func (r *replay) all(segments []uint64) error {
	if len(segments) == 0 && !r.fromSnapshot {
		return nil
	}
	for i := 0; ; i++ {
		number := r.first + uint64(i)
		name := r.s.log.name(number)
		switch {
		case i < len(segments) && segments[i] != number, i == 0 && len(segments) == 0:
			return damage(name, 0, errors.New("it is missing"))
		case i == len(segments):
			return nil
		}
		begun, err := r.segment(number, name)
		if err != nil {
			return err
		}
		if begun {
			continue
		}
		if i+1 < len(segments) || i == 0 && r.fromSnapshot {
			return damage(name, 0, errors.New("it was emptied"))
		}
		return nil
	}
}

// segment applies a segment; false when it is not begun.
func (r *replay) segment(number uint64, name string) (begun bool, err error) {
	f, err := r.s.o.files.open(name)
	if err != nil {
		return false, err
	}
	b, err := readAll(f)
	f.Close()
	if err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	if len(b) >= page && allZero(b[:headerSize]) {
		return false, nil
	}
	if r.torn != nil {
		return false, r.torn
	}
	h, err := parseHeader(b, logMagic, number, int64(len(b)))
	if err == nil {
		err = r.follows(number, h)
	}
	if err != nil {
		return false, damage(name, 0, err)
	}
	end, seq, how, err := scan(b, h, func(payload []byte) error { return eachRecord(payload, r.record) })
	switch how {
	case damaged:
		return false, damage(name, end, err)
	case torn:
		r.torn = damage(name, end, err)
	}
	if r.number != 0 {
		r.s.log.ends = append(r.s.log.ends, segmentEnd{r.number, r.end})
	}
	r.seq, r.number, r.head, r.end, r.bytes = seq, number, h, end, b
	return true, nil
}

// follows checks that nothing is missing between a segment and what came before. A snapshot
// may be ahead of the segments behind it: of what was applied while it was written.
func (r *replay) follows(number uint64, h header) error {
	have := r.s.accepted
	switch {
	case h.rev > have || h.rev < have && h.rev >= r.base:
		return fmt.Errorf("it begins after revision %d, and what is before it ends with %d", h.rev, have)
	case number != r.first && h.seq != r.seq:
		return fmt.Errorf("it begins with frame %d, and frame %d is to come", h.seq, r.seq)
	}
	return nil
}

func (r *replay) record(rec record) error {
	s := r.s
	switch rec.kind {
	case kindCompact:
		if rec.rev > s.accepted {
			return errRecord
		}
		return s.x.Forget(rec.rev)
	case kindTxn:
		switch {
		case rec.rev <= r.base: // the snapshot has it
			return nil
		case rec.rev != s.accepted+1:
			return fmt.Errorf("revision %d follows %d", rec.rev, s.accepted)
		}
		s.accepted = rec.rev
		s.x.Apply(rec.rev, rec.ops)
		return nil
	}
	return errRecord
}

// goOn makes the log ready to be written behind what was read.
func (r *replay) goOn() error {
	s, l := r.s, &r.s.log
	l.rev = s.accepted
	if r.number == 0 {
		if err := l.turn(0); err != nil {
			return err
		}
		return l.seg.f.sync()
	}
	name := l.name(r.number)
	f, err := s.o.files.open(name)
	if err != nil {
		return err
	}
	l.number, l.seq = r.number, r.seq
	l.seg = segment{f: f, size: r.head.size, end: r.end, seal: r.head.seal()}
	if r.end < r.head.size && !allZero(r.bytes[r.end:]) {
		s.o.Log.Info("The last write before a crash was incomplete; it was never acknowledged and is cut off", "file", name, "offset", r.end)
		if err := fill(f, r.end, r.head.size); err != nil {
			return fmt.Errorf("cut off the end of %s: %w", name, err)
		}
	}
	r.bytes = nil
	// What was read may have been written by a process that was killed before it synced.
	return f.sync()
}
