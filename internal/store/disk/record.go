package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/skiff-k8s/skiff/internal/store"
)

// The kinds of record bodies; docs/format/store.md describes them.
const (
	kindTxn     = 1
	kindCompact = 2
	kindKey     = 3
	kindEnd     = 4
)

const (
	formatVersion = 1
	headerSize    = 24
	recordHead    = 8
	walMagic      = "SKIFFWAL"
	snapMagic     = "SKIFFSNP"
	// maxRecord bounds what is taken for a length.
	maxRecord = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendHeader(b []byte, magic string, rev int64) []byte {
	at := len(b)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = binary.LittleEndian.AppendUint64(b, uint64(rev))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

// readHeader checks a header and returns its revision.
func readHeader(b []byte, magic string) (int64, error) {
	if len(b) < headerSize || string(b[:8]) != magic {
		return 0, errors.New("this is not a file of the store")
	}
	if crc32.Checksum(b[:20], castagnoli) != binary.LittleEndian.Uint32(b[20:]) {
		return 0, errors.New("the header is damaged")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != formatVersion {
		return 0, fmt.Errorf("the format is version %d, this Skiff knows version %d: use the version that wrote it", v, formatVersion)
	}
	return int64(binary.LittleEndian.Uint64(b[12:])), nil
}

// beginRecord leaves room for the head; endRecord fills it in.
func beginRecord(b []byte) ([]byte, int) { return append(b, 0, 0, 0, 0, 0, 0, 0, 0), len(b) }

func endRecord(b []byte, at int) []byte {
	body := b[at+recordHead:]
	binary.LittleEndian.PutUint32(b[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[at+4:], checksum(b[at:at+4], body))
	return b
}

func checksum(length, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, body)
}

func appendTxn(b []byte, rev int64, ops []store.Op) []byte {
	b, at := beginRecord(b)
	b = append(b, kindTxn)
	b = binary.AppendUvarint(b, uint64(rev))
	b = binary.AppendUvarint(b, uint64(len(ops)))
	for _, op := range ops {
		if op.Delete {
			b = appendText(append(b, 1), op.Key)
			continue
		}
		b = appendText(append(b, 0), op.Key)
		b = binary.AppendUvarint(b, uint64(len(op.Value)))
		b = append(b, op.Value...)
	}
	return endRecord(b, at)
}

func appendCompact(b []byte, rev int64) []byte {
	b, at := beginRecord(b)
	b = binary.AppendUvarint(append(b, kindCompact), uint64(rev))
	return endRecord(b, at)
}

func appendKey(b []byte, kv store.KV) []byte {
	b, at := beginRecord(b)
	b = append(b, kindKey)
	b = binary.AppendUvarint(b, uint64(kv.Create))
	b = binary.AppendUvarint(b, uint64(kv.Mod))
	b = appendText(b, kv.Key)
	b = binary.AppendUvarint(b, uint64(len(kv.Value)))
	b = append(b, kv.Value...)
	return endRecord(b, at)
}

func appendEnd(b []byte, keys int64) []byte {
	b, at := beginRecord(b)
	b = binary.AppendUvarint(append(b, kindEnd), uint64(keys))
	return endRecord(b, at)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errRecord = errors.New("bad record")

// nextRecord returns the body of the record at the start of b and the record's
// whole size; size 0 means that there is no further one.
func nextRecord(b []byte) (body []byte, size int, err error) {
	if len(b) < 4 {
		if len(b) == 0 || allZero(b) {
			return nil, 0, nil
		}
		return nil, 0, errRecord
	}
	n := binary.LittleEndian.Uint32(b)
	if n == 0 {
		if len(b) >= recordHead && !allZero(b[:recordHead]) {
			return nil, 0, errRecord
		}
		return nil, 0, nil
	}
	if n > maxRecord || int(n) > len(b)-recordHead {
		return nil, 0, errRecord
	}
	body = b[recordHead : recordHead+int(n)]
	if checksum(b[:4], body) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, 0, errRecord
	}
	return body, recordHead + int(n), nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// body is a decoded record.
type body struct {
	kind byte
	rev  int64 // of a transaction or a compaction; number of keys of an end
	ops  []store.Op
	kv   store.KV
}

// parseBody reads a body whose CRC was right. Values point into b.
func parseBody(b []byte) (out body, err error) {
	r := reader{b: b}
	out.kind = r.byte()
	switch out.kind {
	case kindTxn:
		out.rev = r.number()
		n := r.number()
		if n > int64(len(b)) {
			return out, errRecord
		}
		for range n {
			op := store.Op{Delete: r.byte() == 1}
			op.Key = string(r.bytes())
			if !op.Delete {
				op.Value = r.bytes()
			}
			out.ops = append(out.ops, op)
		}
	case kindCompact, kindEnd:
		out.rev = r.number()
	case kindKey:
		out.kv = store.KV{Create: r.number(), Mod: r.number()}
		out.kv.Key = string(r.bytes())
		out.kv.Value = r.bytes()
	default:
		return out, errRecord
	}
	if r.bad || len(r.b) != 0 {
		return out, errRecord
	}
	return out, nil
}

type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) number() int64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<62 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return int64(v)
}

func (r *reader) bytes() []byte {
	n := r.number()
	if r.bad || n > int64(len(r.b)) {
		r.bad = true
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}
