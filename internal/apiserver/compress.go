package apiserver

import (
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// compressFrom is the size from which an answer is worth compressing, as upstream has it.
const compressFrom = 128 << 10

// answerSize is what is known of the size of an answer before it is written.
type answerSize int

const (
	small answerSize = iota // or it must go out as it is
	large
	unknown
)

// size tells whether the answer is to be compressed: those of reads, when the
// client takes gzip and the answer is large. What announces its length is known
// at once; a stream is held back until there is enough of it.
func (a *answer) size() answerSize {
	h := a.Header()
	if n := h["Content-Length"]; len(n) == 1 && len(n[0]) < 6 {
		return small // below 100,000: the common case
	}
	if a.code != http.StatusOK || a.r.Method != http.MethodGet || h.Get("Content-Encoding") != "" || h.Get("Content-Range") != "" {
		return small
	}
	if x, ok := a.r.Context().Value(exchangeKey{}).(*exchange); ok && x.longRunning() {
		return small
	}
	if !takesGzip(a.r.Header) {
		return small
	}
	length := h.Get("Content-Length")
	if length == "" {
		return unknown
	}
	if n, err := strconv.Atoi(length); err == nil && n >= compressFrom {
		return large
	}
	return small
}

// takesGzip tells whether the client names gzip among the encodings that it takes.
//
// compat: quality values are not read: "gzip;q=1" is not "gzip".
func takesGzip(h http.Header) bool {
	for _, v := range h["Accept-Encoding"] {
		for token := range strings.SplitSeq(v, ",") {
			if strings.TrimSpace(token) == "gzip" {
				return true
			}
		}
	}
	return false
}

// heldBody is the start of an answer whose size is not known yet: never more than
// compressFrom and one piece.
type heldBody struct{ b []byte }

var heldBodies = sync.Pool{New: func() any { return &heldBody{b: make([]byte, 0, compressFrom)} }}

func (a *answer) hold(b []byte) (int, error) {
	if len(a.held.b)+len(b) < compressFrom {
		a.held.b = append(a.held.b, b...)
		return len(b), nil
	}
	h := a.held
	a.held = nil
	a.beginZip()
	_, err := a.zip.Write(h.b)
	h.giveBack()
	if err != nil {
		return 0, err
	}
	return a.zip.Write(b)
}

// release sends what was held back as it is: it is all there is, or it cannot wait.
func (a *answer) release() error {
	h := a.held
	if h == nil {
		return nil
	}
	a.held = nil
	a.ResponseWriter.WriteHeader(a.code)
	_, err := a.ResponseWriter.Write(h.b)
	h.giveBack()
	return err
}

func (a *answer) dropHeld() {
	if a.held != nil {
		a.held.giveBack()
		a.held = nil
	}
}

func (h *heldBody) giveBack() {
	h.b = h.b[:0]
	heldBodies.Put(h)
}

// zipper is a gzip writer that is used again: it holds a good deal of memory. The
// level is upstream's: the fastest, which finds most of what repeats in lists.
type zipper struct{ *gzip.Writer }

var zippers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return &zipper{z}
}}

func (a *answer) beginZip() {
	h := a.Header()
	h.Del("Content-Length")
	h.Set("Content-Encoding", "gzip")
	h.Add("Vary", "Accept-Encoding")
	a.ResponseWriter.WriteHeader(a.code)
	a.zip = zippers.Get().(*zipper)
	a.zip.Reset(a.ResponseWriter)
}

// endZip writes the end of a compressed answer, unless it is broken off.
func (a *answer) endZip(whole bool) {
	z := a.zip
	if z == nil {
		return
	}
	a.zip = nil
	if whole {
		z.Close()
	}
	z.Reset(nil) // a pooled writer must not keep the connection
	zippers.Put(z)
}
