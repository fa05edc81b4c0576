package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The container of segments and snapshots: a header, then frames. docs/format/store.md
// describes it, and why each field is there.

const (
	formatVersion = 2
	headerSize    = 64
	frameHead     = 32
	frameAlign    = 32 // so that a frame's head is in one sector
	sector        = 512
	maxPayload    = 1 << 30
	logMagic      = "SKIFFLOG"
	snapMagic     = "SKIFFSNP"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the beginning of a segment or a snapshot.
type header struct {
	magic     string
	salt      uint32
	number    uint64
	size      int64
	rev       int64
	seq       uint64
	compacted int64
}

func (h header) encode() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, h.magic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = binary.LittleEndian.AppendUint32(b, h.salt)
	for _, v := range []uint64{h.number, uint64(h.size), uint64(h.rev), h.seq, uint64(h.compacted)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = b[:headerSize-4]
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// parseHeader reads the header of a file with a number and a size.
func parseHeader(b []byte, magic string, number uint64, size int64) (header, error) {
	if len(b) < headerSize || string(b[:8]) != magic {
		return header{}, errors.New("the file does not begin as it should")
	}
	if crc32.Checksum(b[:headerSize-4], castagnoli) != binary.LittleEndian.Uint32(b[headerSize-4:]) {
		return header{}, errors.New("the checksum of the header is wrong")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != formatVersion {
		return header{}, fmt.Errorf("%w %d, and this Skiff knows %d", errVersion, v, formatVersion)
	}
	at := func(i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }
	h := header{
		magic: magic, salt: binary.LittleEndian.Uint32(b[12:]), number: at(16), size: int64(at(24)), rev: int64(at(32)),
		seq: at(40), compacted: int64(at(48)),
	}
	switch {
	case h.number != number:
		return h, fmt.Errorf("by its header it is number %x", h.number)
	case h.size != size:
		return h, fmt.Errorf("it should be %d bytes long and has %d", h.size, size)
	case h.rev < 1 || h.compacted < 0 || h.compacted > h.rev || h.seq < 1:
		return h, errors.New("the header makes no sense")
	}
	return h, nil
}

var errVersion = errors.New("the format is version")

// seal is what the checksums of frame heads begin with.
func (h header) seal() uint32 {
	b := binary.LittleEndian.AppendUint32(nil, h.salt)
	return crc32.Checksum(binary.LittleEndian.AppendUint64(b, h.number), castagnoli)
}

// aligned is the room that a frame of n bytes takes.
func aligned(n int) int64 { return (int64(n) + frameAlign - 1) &^ (frameAlign - 1) }

// finishFrame fills in the head of a frame: b is frameHead bytes of room and the
// payload, and goes to offset at.
func finishFrame(b []byte, at int64, seal uint32, seq uint64) {
	head, payload := b[:frameHead], b[frameHead:]
	clear(head)
	binary.LittleEndian.PutUint32(head, uint32(len(payload)))
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(payload, castagnoli))
	binary.LittleEndian.PutUint64(head[8:], seq)
	binary.LittleEndian.PutUint32(head[16:], zeroSectors(payload, at+frameHead))
	binary.LittleEndian.PutUint32(head[28:], crc32.Update(seal, castagnoli, head[:28]))
}

// head is a decoded frame head.
type head struct {
	size  int // of the payload
	crc   uint32
	seq   uint64
	zeros uint32
}

func (h head) intact(payload []byte) bool { return crc32.Checksum(payload, castagnoli) == h.crc }

// parseHead reads a frame head; false when it is not one.
func parseHead(b []byte, seal uint32) (head, bool) {
	h := head{
		int(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:]),
		binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint32(b[16:]),
	}
	ok := h.size > 0 && h.size <= maxPayload && crc32.Update(seal, castagnoli, b[:28]) == binary.LittleEndian.Uint32(b[28:])
	return h, ok
}

// zeroSectors counts the sectors in which all of b is zero, when b is at offset at of a file.
func zeroSectors(b []byte, at int64) (n uint32) {
	for len(b) > 0 {
		part := min(int(sector-at%sector), len(b))
		if allZero(b[:part]) {
			n++
		}
		b = b[part:]
		at += int64(part)
	}
	return n
}

func allZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// How the frames of a segment end.
type ending int

const (
	ended   ending = iota // with zeroes
	torn                  // with a frame that a crash left unfinished
	damaged               // with something that a crash cannot leave
)

// scan visits the frames of a segment, all of whose bytes are b, and says where they end, with
// which sequence number to come, and how; err is what is wrong when it is not ended.
func scan(b []byte, h header, visit func(payload []byte) error) (end int64, seq uint64, how ending, err error) {
	seal, at := h.seal(), headerSize
	for seq = h.seq; at+frameHead <= len(b); seq++ {
		if allZero(b[at : at+frameHead]) {
			break
		}
		hd, ok := parseHead(b[at:], seal)
		switch {
		case !ok:
			return int64(at), seq, damaged, errors.New("the head of a frame is damaged")
		case hd.seq != seq:
			return int64(at), seq, damaged, fmt.Errorf("frame %d is where frame %d should be", hd.seq, seq)
		case hd.size > len(b)-at-frameHead:
			return int64(at), seq, damaged, errors.New("a frame is longer than the file")
		}
		payload := b[at+frameHead:][:hd.size]
		if !hd.intact(payload) {
			if zeroSectors(payload, int64(at+frameHead)) > hd.zeros && !laterHead(b[at+frameHead:], seal, seq) {
				return int64(at), seq, torn, errors.New("a frame is incomplete")
			}
			return int64(at), seq, damaged, errors.New("the checksum of a frame is wrong")
		}
		if err := visit(payload); err != nil {
			return int64(at), seq, damaged, err
		}
		at += int(aligned(frameHead + hd.size))
	}
	if at < len(b) && laterHead(b[at:], seal, seq) {
		return int64(at), seq, damaged, fmt.Errorf("frame %d is missing, and there are later ones", seq)
	}
	return int64(at), seq, ended, nil
}

// laterHead looks for the head of a frame after seq. b begins at a multiple of frameAlign.
func laterHead(b []byte, seal uint32, seq uint64) bool {
	for ; len(b) >= frameHead; b = b[frameAlign:] {
		if allZero(b[:frameHead]) {
			continue
		}
		if h, ok := parseHead(b, seal); ok && h.seq > seq {
			return true
		}
	}
	return false
}
