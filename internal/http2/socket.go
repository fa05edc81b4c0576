package http2

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"unsafe"
)

// socket is a connection below TLS, as cheap as one can be whose reads and writes the kernel
// answers at once. Its writes wait for nobody, once an HTTP/2 connection
// has taken it over: what the kernel does not take is kept, and whoever writes on his own
// account waits until it is gone (drain). The one who pushes to many clients does
// not: he finds that something was left (behind) and leaves it to another.
//
// TLS writes too, of itself (alerts, new keys), with its lock on writing held. That too
// must not wait for a client: the pusher would wait for the lock.
type socket struct {
	net.Conn
	raw syscall.RawConn

	mu       sync.Mutex
	eager    bool   // writes do not wait
	rest     []byte // what the kernel did not take
	draining bool   // somebody writes what was rest
	out      []byte // what try is about, and what came of it
	wrote    int
	err      error
	try      func(fd uintptr) bool

	// The reader's own: what look is about, and what came of it.
	in   []byte
	got  int
	bad  error
	look func(fd uintptr) bool
}

// maxRest is far more than is written before somebody looks whether it is gone.
const maxRest = 2 * maxPending

var errBehind = errors.New("http2: the client takes nothing of what TLS has to say")

// Listen makes the listener's connections cheap, and such that what is pushed to them
// (response.Push) needs no goroutine of its own.
func Listen(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newSocket(nc), nil
}

// newSocket is nc itself if it is not one that the kernel knows.
func newSocket(nc net.Conn) net.Conn {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nc
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nc
	}
	s := &socket{Conn: nc, raw: raw}
	s.try, s.look = s.tryOnce, s.lookOnce
	return s
}

// socketOf is what nc's TLS writes to.
func socketOf(nc net.Conn) *socket {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = t.NetConn()
	}
	s, _ := nc.(*socket)
	return s
}

// beEager is called once, before others write.
func (s *socket) beEager() {
	s.mu.Lock()
	s.eager = true
	s.mu.Unlock()
}

func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.eager {
		return s.Conn.Write(p)
	}
	n := 0
	if len(s.rest) == 0 && !s.draining {
		s.out, s.wrote, s.err = p, 0, nil
		err := s.raw.Write(s.try)
		s.out = nil
		if n = s.wrote; err == nil {
			err = s.err
		}
		if err != nil {
			return n, err
		}
	}
	if len(s.rest)+len(p)-n > maxRest {
		return n, errBehind
	}
	s.rest = append(s.rest, p[n:]...)
	return len(p), nil
}

// tryOnce writes what the kernel takes at once. It does not tell the scheduler of a system
// call that may take its time: this one does not, and to tell is a good part of what it
// costs. So does lookOnce: a fifth of what the server needs for a small answer.
func (s *socket) tryOnce(fd uintptr) bool {
	for s.wrote < len(s.out) {
		p := s.out[s.wrote:]
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			s.wrote += int(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			return true
		default:
			s.err = &net.OpError{Op: "write", Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: errno}
			return true
		}
	}
	return true
}

// behind tells whether something was left.
func (s *socket) behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rest) > 0
}

// drain writes some of what was left, and waits for the client. One at a time.
func (s *socket) drain() error {
	s.mu.Lock()
	p := s.rest[:min(len(s.rest), record)]
	s.draining = true
	s.mu.Unlock()
	n, err := s.Conn.Write(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = false
	if s.rest = s.rest[n:]; len(s.rest) == 0 {
		s.rest = nil
	}
	return err
}

func (s *socket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.in, s.got, s.bad = p, 0, nil
	err := s.raw.Read(s.look)
	s.in = nil
	switch {
	case err != nil:
		return 0, err
	case s.bad != nil:
		return 0, s.bad
	case s.got == 0:
		return 0, io.EOF
	}
	return s.got, nil
}

// lookOnce reads what is there; false: nothing yet.
func (s *socket) lookOnce(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(s.in))), uintptr(len(s.in)))
		switch errno {
		case 0:
			s.got = int(n)
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			s.bad = &net.OpError{Op: "read", Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: errno}
			return true
		}
	}
}
