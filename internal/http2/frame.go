package http2

import (
	"encoding/binary"
	"fmt"

	xhttp2 "golang.org/x/net/http2"
)

// What the protocol begins with (RFC 9113, 6.5.2, 6.9).
const (
	headLen     = 9
	firstFrame  = 16 << 10
	firstWindow = 64<<10 - 1
	maxWindow   = 1<<31 - 1
)

// head is the head of a frame.
type head struct {
	length int
	kind   xhttp2.FrameType
	flags  xhttp2.Flags
	id     uint32
}

func parseHead(b []byte) head {
	return head{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		kind:   xhttp2.FrameType(b[3]),
		flags:  xhttp2.Flags(b[4]),
		id:     binary.BigEndian.Uint32(b[5:]) & maxWindow, // the first bit is reserved
	}
}

func appendHead(b []byte, length int, kind xhttp2.FrameType, flags xhttp2.Flags, id uint32) []byte {
	return append(b, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags),
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

func appendReset(b []byte, id uint32, code xhttp2.ErrCode) []byte {
	return binary.BigEndian.AppendUint32(appendHead(b, 4, xhttp2.FrameRSTStream, 0, id), uint32(code))
}

func appendWindowUpdate(b []byte, id uint32, n int) []byte {
	return binary.BigEndian.AppendUint32(appendHead(b, 4, xhttp2.FrameWindowUpdate, 0, id), uint32(n))
}

func appendPing(b []byte, flags xhttp2.Flags, data []byte) []byte {
	return append(appendHead(b, 8, xhttp2.FramePing, flags, 0), data[:8]...)
}

func appendGoAway(b []byte, last uint32, code xhttp2.ErrCode) []byte {
	b = binary.BigEndian.AppendUint32(appendHead(b, 8, xhttp2.FrameGoAway, 0, 0), last)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

func appendSettings(b []byte, settings ...xhttp2.Setting) []byte {
	b = appendHead(b, 6*len(settings), xhttp2.FrameSettings, 0, 0)
	for _, s := range settings {
		b = binary.BigEndian.AppendUint16(b, uint16(s.ID))
		b = binary.BigEndian.AppendUint32(b, s.Val)
	}
	return b
}

// connError ends the connection, streamError one stream of it.
type connError struct {
	code xhttp2.ErrCode
	why  string
}

func (e connError) Error() string { return fmt.Sprintf("%v: %s", e.code, e.why) }

type streamError struct {
	id   uint32
	code xhttp2.ErrCode
	why  string
}

func (e streamError) Error() string { return fmt.Sprintf("stream %d: %v: %s", e.id, e.code, e.why) }

func protocolError(why string) error { return connError{xhttp2.ErrCodeProtocol, why} }
func sizeError(why string) error     { return connError{xhttp2.ErrCodeFrameSize, why} }
