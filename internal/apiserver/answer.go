package apiserver

import (
	"bufio"
	"net"
	"net/http"
)

// answer is the way out of one request. It knows what went out, which the metrics
// ask for afterwards, and compresses what is large (compress.go).
//
// A handler that fails after its answer began cannot take it back: written tells.
type answer struct {
	http.ResponseWriter
	r     *http.Request
	code  int   // of the answer; 0: none yet
	bytes int64 // of the body, before it is compressed
	held  *heldBody
	zip   *zipper
	taken bool // the connection belongs to the handler
}

// Unwrap lets http.ResponseController find the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) written() bool { return a.code != 0 }

func (a *answer) WriteHeader(code int) {
	if code < 200 && code != http.StatusSwitchingProtocols {
		a.ResponseWriter.WriteHeader(code)
		return
	}
	if a.code != 0 {
		return // the first one counts
	}
	a.code = code
	switch a.size() {
	case small:
		a.ResponseWriter.WriteHeader(code)
	case large:
		a.beginZip()
	case unknown:
		a.held = heldBodies.Get().(*heldBody)
	}
}

func (a *answer) Write(b []byte) (int, error) {
	if a.code == 0 {
		a.WriteHeader(http.StatusOK)
	}
	a.bytes += int64(len(b))
	switch {
	case a.held != nil:
		return a.hold(b)
	case a.zip != nil:
		return a.zip.Write(b)
	}
	return a.ResponseWriter.Write(b)
}

// Flush sends what is there: whoever flushes cannot wait for more to come.
func (a *answer) Flush() { a.FlushError() }

func (a *answer) FlushError() error {
	if a.code == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if err := a.release(); err != nil {
		return err
	}
	if a.zip != nil {
		if err := a.zip.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Hijack gives the connection away, where it is one that can be (not HTTP/2).
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err == nil {
		a.taken = true
		if a.code == 0 {
			a.code = http.StatusSwitchingProtocols
		}
	}
	return c, rw, err
}

// finish sends what is left, when the handler is done.
func (a *answer) finish() {
	if a.taken {
		return
	}
	a.release()
	a.endZip(true)
}

// abandon lets go of what was borrowed, when the answer is broken off.
func (a *answer) abandon() {
	a.dropHeld()
	a.endZip(false)
}
