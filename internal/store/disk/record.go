package disk

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/index"
)

// The kinds of records in the payload of a frame; docs/format/store.md describes them.
const (
	kindTxn     = 1
	kindCompact = 2
	kindKey     = 3
	kindEnd     = 4
)

func appendTxn(b []byte, rev int64, ops []store.Op) []byte {
	b = binary.AppendUvarint(append(b, kindTxn), uint64(rev))
	b = binary.AppendUvarint(b, uint64(len(ops)))
	for i := range ops {
		if op := &ops[i]; op.Delete {
			b = appendText(append(b, 1), op.Key)
		} else {
			b = appendText(append(b, 0), op.Key)
			b = appendText(b, op.Value)
		}
	}
	return b
}

func appendCompact(b []byte, rev int64) []byte {
	return binary.AppendUvarint(append(b, kindCompact), uint64(rev))
}

func appendKey(b []byte, key string, versions []index.Version) []byte {
	b = appendText(append(b, kindKey), key)
	b = binary.AppendUvarint(b, uint64(len(versions)))
	for _, v := range versions {
		b = binary.AppendUvarint(b, uint64(v.Create))
		b = binary.AppendUvarint(b, uint64(v.Mod))
		if v.Create != 0 {
			b = appendText(b, v.Value)
		}
	}
	return b
}

func appendEnd(b []byte, keys int64) []byte {
	return binary.AppendUvarint(append(b, kindEnd), uint64(keys))
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// record is a decoded record. Nothing in it points into what it was read from.
type record struct {
	kind     byte
	rev      int64 // of a transaction or a compaction; the number of keys of an end
	ops      []store.Op
	key      string
	versions []index.Version
}

var errRecord = errors.New("a record makes no sense")

// eachRecord decodes the payload of a frame.
func eachRecord(payload []byte, visit func(record) error) error {
	for r := (reader{b: payload}); len(r.b) > 0; {
		rec := r.record()
		if r.bad {
			return errRecord
		}
		if err := visit(rec); err != nil {
			return err
		}
	}
	return nil
}

// reader takes values off the front of b; bad is set when there is none as wanted.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) record() record {
	rec := record{kind: r.byte()}
	switch rec.kind {
	case kindTxn:
		rec.rev = r.number()
		rec.ops = make([]store.Op, 0, r.count(2))
		for range cap(rec.ops) {
			rec.ops = append(rec.ops, r.op())
		}
	case kindCompact, kindEnd:
		rec.rev = r.number()
	case kindKey:
		rec.key = r.text()
		rec.versions = make([]index.Version, 0, r.count(2))
		for range cap(rec.versions) {
			rec.versions = append(rec.versions, r.version())
		}
	default:
		r.bad = true
	}
	return rec
}

func (r *reader) op() store.Op {
	switch r.byte() {
	case 0:
		return store.Op{Key: r.text(), Value: r.bytes()}
	case 1:
		return store.Op{Key: r.text(), Delete: true}
	}
	r.bad = true
	return store.Op{}
}

func (r *reader) version() index.Version {
	v := index.Version{Create: r.number(), Mod: r.number()}
	if v.Create != 0 {
		v.Value = r.bytes()
	}
	return v
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0xff
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) number() int64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<62 {
		r.bad = true
		r.b = nil
		return 0
	}
	r.b = r.b[n:]
	return int64(v)
}

// count is a number of things that take at least least bytes each: no more of them than there can be.
func (r *reader) count(least int) int {
	n := r.number()
	if n > int64(len(r.b)/least) {
		r.bad = true
		r.b = nil
		return 0
	}
	return int(n)
}

func (r *reader) take() []byte {
	n := r.number()
	if n > int64(len(r.b)) {
		r.bad = true
		r.b = nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string  { return string(r.take()) }
func (r *reader) bytes() []byte { return bytes.Clone(r.take()) }
