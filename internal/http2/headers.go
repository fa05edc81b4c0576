package http2

import (
	"encoding/binary"
	"io"
	"slices"
	"time"

	"golang.org/x/net/http/httpguts"
	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// headerBlock is the header block that is being read. It is decoded even where nobody
// wants it: the compression of those that follow depends on it.
type headerBlock struct {
	dec   *hpack.Decoder
	limit int
	raw   []byte // of a block that comes in pieces

	fields    []hpack.HeaderField // the regular ones
	pseudo    pseudo
	size      int
	trailers  int // bytes of what announces trailers: they have a limit of their own
	regular   bool
	tooLarge  bool
	malformed string
}

// pseudo are the pseudo-headers of a request.
type pseudo struct {
	method, scheme, authority, path string
	has                             uint8 // bits below
}

const (
	hasMethod = 1 << iota
	hasScheme
	hasAuthority
	hasPath
)

func (b *headerBlock) begin(limit int) {
	b.limit = limit
	b.dec = hpack.NewDecoder(4096, b.field)
	b.dec.SetMaxStringLength(limit)
}

func (b *headerBlock) reset() {
	clear(b.fields) // what was large must not be held
	b.fields, b.pseudo = b.fields[:0], pseudo{}
	b.size, b.trailers, b.regular, b.tooLarge, b.malformed = 0, 0, false, false, ""
	b.dec.SetEmitEnabled(true)
}

// field takes one header.
func (b *headerBlock) field(f hpack.HeaderField) {
	if b.malformed == "" {
		b.malformed = b.check(f)
	}
	if b.malformed != "" {
		b.dec.SetEmitEnabled(false)
		return
	}
	size := &b.size
	if f.Name == "trailer" {
		size = &b.trailers
	}
	*size += int(f.Size())
	if *size > b.limit {
		b.tooLarge = true
		b.dec.SetEmitEnabled(false)
		return
	}
	if f.Name[0] != ':' {
		b.fields = append(b.fields, f)
	}
}

// check tells what is wrong with a header, and keeps the pseudo-headers (RFC 9113, 8.2, 8.3).
func (b *headerBlock) check(f hpack.HeaderField) string {
	if f.Name == "" || !httpguts.ValidHeaderFieldValue(f.Value) {
		return "header with a name or value that is none"
	}
	if f.Name[0] == ':' {
		return b.checkPseudo(f)
	}
	b.regular = true
	for i := 0; i < len(f.Name); i++ {
		if ch := f.Name[i]; ch >= 0x80 || !httpguts.IsTokenRune(rune(ch)) || 'A' <= ch && ch <= 'Z' {
			return "header with a name that is none"
		}
	}
	switch f.Name {
	case "connection", "proxy-connection", "transfer-encoding", "upgrade", "keep-alive":
		return "header of a connection: " + f.Name
	case "te":
		if f.Value != "trailers" {
			return "header of a connection: te"
		}
	}
	return ""
}

func (b *headerBlock) checkPseudo(f hpack.HeaderField) string {
	if b.regular {
		return "pseudo-header after a header"
	}
	p, bit := &b.pseudo, uint8(0)
	switch f.Name {
	case ":method":
		p.method, bit = f.Value, hasMethod
	case ":scheme":
		p.scheme, bit = f.Value, hasScheme
	case ":authority":
		p.authority, bit = f.Value, hasAuthority
	case ":path":
		p.path, bit = f.Value, hasPath
	default:
		return "unknown pseudo-header"
	}
	if p.has&bit != 0 {
		return "pseudo-header twice"
	}
	p.has |= bit
	return ""
}

func (b *headerBlock) decode(p []byte) error {
	_, err := b.dec.Write(p)
	if err == nil {
		err = b.dec.Close()
	}
	if err != nil {
		return connError{xhttp2.ErrCodeCompression, err.Error()}
	}
	return nil
}

func parseID(b []byte) uint32 { return binary.BigEndian.Uint32(b) & maxWindow }

// readHeaders reads a block of headers, which begins a request or ends its body.
func (c *conn) readHeaders(h head) error {
	if h.id%2 == 0 {
		return protocolError("HEADERS of a stream that a client cannot open")
	}
	inside := h.length
	if !h.flags.Has(xhttp2.FlagHeadersEndHeaders) || c.br.Buffered() < inside {
		// Who begins a block must end it; others wait for it.
		limit := c.srv.http.ReadHeaderTimeout
		if limit <= 0 {
			limit = headerTime
		}
		c.readBy(time.Now().Add(limit))
		defer c.readBy(time.Time{})
	}
	pad, onItself := 0, false
	if h.flags.Has(xhttp2.FlagHeadersPadded) {
		if inside < 1 {
			return sizeError("HEADERS without its padding")
		}
		p, err := c.br.ReadByte()
		if err != nil {
			return err
		}
		pad = int(p)
		inside--
	}
	if h.flags.Has(xhttp2.FlagHeadersPriority) {
		if inside < 5 {
			return sizeError("HEADERS without its priority")
		}
		b, err := c.br.Peek(5)
		if err != nil {
			return err
		}
		onItself = parseID(b) == h.id
		c.br.Discard(5)
		inside -= 5
	}
	if inside < pad {
		return protocolError("padding larger than its frame")
	}
	if err := c.readBlock(h, inside-pad, pad); err != nil {
		return err
	}
	switch b := &c.block; {
	case b.malformed != "":
		return streamError{h.id, xhttp2.ErrCodeProtocol, b.malformed}
	case onItself:
		return streamError{h.id, xhttp2.ErrCodeProtocol, "a stream that depends on itself"}
	}
	return c.heardHeaders(h.id, h.flags.Has(xhttp2.FlagHeadersEndStream))
}

// readBlock reads and decodes a block of headers with the frames that continue it.
func (c *conn) readBlock(h head, inside, pad int) error {
	b := &c.block
	b.reset()
	if h.flags.Has(xhttp2.FlagHeadersEndHeaders) && inside <= c.br.Size() {
		p, err := c.br.Peek(inside)
		if err != nil {
			return err
		}
		if err := b.decode(p); err != nil {
			return err
		}
		return c.skip(inside + pad)
	}
	// As much as a list that is too large may have before nobody listens any more:
	// up to here its sender is told.
	b.raw = b.raw[:0]
	defer func() {
		if cap(b.raw) > 64<<10 {
			b.raw = nil
		}
	}()
	for frames, ended := 0, h.flags.Has(xhttp2.FlagHeadersEndHeaders); ; frames++ {
		if len(b.raw)+inside > 2*b.limit || frames > 32+2*b.limit/1024 {
			return connError{xhttp2.ErrCodeEnhanceYourCalm, "a block of headers without end"}
		}
		n := len(b.raw)
		b.raw = append(b.raw, make([]byte, inside)...)
		if _, err := io.ReadFull(c.br, b.raw[n:]); err != nil {
			return err
		}
		if err := c.skip(pad); err != nil {
			return err
		}
		if ended {
			return b.decode(b.raw)
		}
		next, err := c.readHead()
		if err != nil {
			return err
		}
		if next.kind != xhttp2.FrameContinuation || next.id != h.id {
			return protocolError("a block of headers that does not end")
		}
		inside, pad, ended = next.length, 0, next.flags.Has(xhttp2.FlagContinuationEndHeaders)
	}
}

// heardHeaders finds what a block of headers is for.
func (c *conn) heardHeaders(id uint32, ended bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		return c.dead // nobody would end what began now
	}
	if st := c.streams[id]; st != nil {
		return c.heardTrailers(st, ended)
	}
	if id <= c.lastID {
		if c.resets.has(id) {
			return nil // was under way when we reset the stream
		}
		return connError{xhttp2.ErrCodeStreamClosed, "HEADERS of a stream that has ended"}
	}
	if c.retired {
		return nil // the client was told that such streams are not served
	}
	c.lastID = id
	return c.open(id, ended)
}

// heardTrailers takes what follows the body. c.mu is held.
func (c *conn) heardTrailers(st *stream, ended bool) error {
	b := &c.block
	switch {
	case st.remoteDone:
		return streamError{st.id, xhttp2.ErrCodeStreamClosed, "HEADERS after the end of the stream"}
	case !ended:
		return streamError{st.id, xhttp2.ErrCodeProtocol, "trailers that do not end the stream"}
	case b.pseudo.has != 0:
		return streamError{st.id, xhttp2.ErrCodeProtocol, "pseudo-header among trailers"}
	case b.tooLarge:
		return streamError{st.id, xhttp2.ErrCodeEnhanceYourCalm, "trailers that are too large"}
	}
	for _, f := range b.fields {
		key := canonical(f.Name)
		if !httpguts.ValidTrailerHeader(key) {
			return streamError{st.id, xhttp2.ErrCodeProtocol, "header that cannot be a trailer: " + f.Name}
		}
		st.trailers = append(st.trailers, hpack.HeaderField{Name: key, Value: f.Value})
	}
	return c.remoteEnd(st)
}

// refuse resets a stream that the client got wrong.
func (c *conn) refuse(e streamError) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired && e.id > c.lastID {
		return nil
	}
	if e.id > c.lastID {
		c.lastID = e.id
	}
	if st := c.streams[e.id]; st != nil {
		c.drop(st, e)
	}
	c.resets.add(e.id)
	return c.reply(func(b []byte) []byte { return appendReset(b, e.id, e.code) })
}

// resetLog remembers the streams that we reset lately: what the client sent before it
// knew is no mistake.
type resetLog struct {
	ids  []uint32
	next int
}

const maxResets = 256

func (l *resetLog) add(id uint32) {
	switch {
	case l.has(id):
	case len(l.ids) < maxResets:
		l.ids = append(l.ids, id)
	default:
		l.ids[l.next] = id
		l.next = (l.next + 1) % maxResets
	}
}

func (l *resetLog) has(id uint32) bool { return slices.Contains(l.ids, id) }
