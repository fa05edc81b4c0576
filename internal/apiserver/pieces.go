package apiserver

import "io"

// pieceSize is what fills, with the header of an HTTP/2 frame, exactly one TLS record. A frame of
// 16 KiB, as larger writes are cut into, would make two records and two system calls.
const pieceSize = 16<<10 - 9

// pieces gathers a long answer and writes it in pieces of that size. The first error is kept.
type pieces struct {
	w   io.Writer
	b   []byte
	err error
}

func newPieces(w io.Writer) *pieces { return &pieces{w: w, b: make([]byte, 0, pieceSize)} }

func (p *pieces) add(b []byte) {
	for len(b) > 0 {
		n := min(len(b), pieceSize-len(p.b))
		p.b = append(p.b, b[:n]...)
		if b = b[n:]; len(p.b) == pieceSize {
			p.flush()
		}
	}
}

func (p *pieces) flush() {
	if len(p.b) > 0 && p.err == nil {
		_, p.err = p.w.Write(p.b)
	}
	p.b = p.b[:0]
}
