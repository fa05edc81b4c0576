package http2

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"sync"

	"golang.org/x/net/http2/hpack"
)

var (
	errTooMuch    = errors.New("http2: sender tried to send more than declared Content-Length")
	errBodyClosed = errors.New("http2: body closed by handler")
)

// body is the body of a request: the reader fills it, the handler reads it.
type body struct {
	st *stream
	mu sync.Mutex

	more     sync.Cond
	pieces   []*piece // what arrived and was not read; the reader fills the last one
	unread   int
	err      error // what comes after the pieces
	closed   bool  // nobody will read
	proceed  bool  // the client waits for 100 Continue
	trailers []hpack.HeaderField
}

type piece struct {
	b    []byte
	r, w int
}

// The sizes of pieces: one for bodies of a usual object, one for large ones.
const (
	smallPiece = 4 << 10
	largePiece = 16 << 10
)

var (
	smallPieces = sync.Pool{New: func() any { return &piece{b: make([]byte, smallPiece)} }}
	largePieces = sync.Pool{New: func() any { return &piece{b: make([]byte, largePiece)} }}
)

func newPiece(size int) *piece {
	if size <= smallPiece {
		return smallPieces.Get().(*piece)
	}
	return largePieces.Get().(*piece)
}

func (p *piece) free() {
	p.r, p.w = 0, 0
	if len(p.b) == smallPiece {
		smallPieces.Put(p)
	} else {
		largePieces.Put(p)
	}
}

func (b *body) begin(st *stream) {
	b.st = st
	b.more.L = &b.mu
}

// fill is called by the connection's reader: it moves n bytes from there to the handler.
func (b *body) fill(from *bufio.Reader, n int) error {
	for n > 0 {
		dst := b.space(n)
		if dst == nil {
			// Nobody will read it: the connection gets its window back here.
			if _, err := from.Discard(n); err != nil {
				return err
			}
			c := b.st.c
			c.mu.Lock()
			c.giveBack(n)
			c.mu.Unlock()
			return nil
		}
		got, err := from.Read(dst)
		b.filled(got)
		n -= got
		if err != nil {
			return err
		}
	}
	return nil
}

// space is where the next bytes go. It stays valid until the reader calls again: a
// handler frees only pieces that are full.
func (b *body) space(n int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	k := len(b.pieces)
	if k > 0 && b.pieces[k-1].r == b.pieces[k-1].w {
		b.pieces[k-1].r, b.pieces[k-1].w = 0, 0
	}
	if k == 0 || b.pieces[k-1].w == len(b.pieces[k-1].b) {
		size := n
		if d := b.st.declared; d > int64(size) {
			size = int(min(d, largePiece))
		}
		b.pieces = append(b.pieces, newPiece(size))
	}
	last := b.pieces[len(b.pieces)-1]
	return last.b[last.w:min(len(last.b), last.w+n)]
}

func (b *body) filled(n int) {
	b.mu.Lock()
	if b.closed {
		// Closed while it arrived: what it was taken from gets it back.
		b.mu.Unlock()
		c := b.st.c
		c.mu.Lock()
		c.giveBack(n)
		c.mu.Unlock()
		return
	}
	b.pieces[len(b.pieces)-1].w += n
	b.unread += n
	b.mu.Unlock()
	b.more.Signal()
}

// end: everything has arrived.
func (b *body) end(trailers []hpack.HeaderField) {
	b.mu.Lock()
	if b.err == nil {
		b.err, b.trailers = io.EOF, trailers
	}
	b.mu.Unlock()
	b.more.Broadcast()
}

// fail: nothing more will arrive; what has is read first.
func (b *body) fail(err error) {
	b.mu.Lock()
	if b.err == nil {
		b.err = err
	}
	b.mu.Unlock()
	b.more.Broadcast()
}

// breakOff: the stream is no more. It returns the bytes that are to be given back to the connection.
func (b *body) breakOff(why error) int {
	b.fail(why)
	return b.discard()
}

// abandon: the handler is no more.
func (b *body) abandon() int {
	b.fail(http.ErrBodyReadAfterClose)
	return b.discard()
}

func (b *body) discard() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.unread
	b.unread, b.closed = 0, true
	if b.err == io.EOF {
		for _, p := range b.pieces { // the reader is done with them
			p.free()
		}
	}
	b.pieces = nil
	return n
}

// Close is the handler's.
func (b *body) Close() error {
	b.mu.Lock()
	if b.err == nil || b.unread > 0 {
		b.err = errBodyClosed
	}
	b.mu.Unlock()
	if n := b.discard(); n > 0 {
		c := b.st.c
		c.mu.Lock()
		c.giveBack(n)
		c.mu.Unlock()
	}
	return nil
}

// Read is the handler's.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.proceed {
		b.proceed = false
		b.mu.Unlock()
		b.st.w.proceed()
		b.mu.Lock()
	}
	for b.unread == 0 && b.err == nil && len(p) > 0 {
		b.more.Wait()
	}
	if b.unread == 0 {
		err := b.err
		if err == io.EOF {
			b.takeTrailers()
		}
		b.mu.Unlock()
		if len(p) == 0 && err == nil {
			return 0, nil
		}
		return 0, err
	}
	n := 0
	for n < len(p) && b.unread > 0 {
		first := b.pieces[0]
		k := copy(p[n:], first.b[first.r:first.w])
		first.r += k
		b.unread -= k
		n += k
		if first.r == len(first.b) {
			b.pieces = b.pieces[1:]
			first.free()
		}
	}
	b.mu.Unlock()
	c := b.st.c
	c.mu.Lock()
	c.giveBackOf(b.st, n)
	c.mu.Unlock()
	return n, nil
}

// takeTrailers hands over the trailers that the request announced. b.mu is held.
func (b *body) takeTrailers() {
	for _, f := range b.trailers {
		if have, ok := b.st.r.Trailer[f.Name]; ok {
			b.st.r.Trailer[f.Name] = append(have, f.Value)
		}
	}
	b.trailers = nil
}
