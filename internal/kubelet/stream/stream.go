// Package stream serves exec, attach and port-forward: it takes the client's
// connection, SPDY or WebSocket, and joins it to the streaming server of the CRI
// runtime, which speaks SPDY.
//
// exec.go and websocket.go serve commands, forward.go ports.
package stream

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"k8s.io/client-go/rest"
	clientremote "k8s.io/client-go/tools/remotecommand"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// Server joins clients to a runtime.
type Server struct {
	Runtime runtimeapi.RuntimeServiceClient
}

const (
	idleTimeout     = 4 * time.Hour
	creationTimeout = 30 * time.Second
)

// Exec runs a command in a container.
func (s *Server) Exec(w http.ResponseWriter, r *http.Request, id string, command []string) {
	o, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	run := func(ctx context.Context, c channels) error {
		resp, err := s.Runtime.Exec(ctx, &runtimeapi.ExecRequest{ContainerId: id, Cmd: command, Tty: o.TTY, Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr && !o.TTY})
		if err != nil {
			return err
		}
		return c.join(ctx, resp.Url)
	}
	if serveWebSocket(w, r, o, run) {
		return
	}
	remotecommand.ServeExec(w, r, commandRunner(run), "", "", id, command, o, idleTimeout, creationTimeout, remotecommand.SupportedStreamingProtocols)
}

// Attach joins a container that runs.
func (s *Server) Attach(w http.ResponseWriter, r *http.Request, id string) {
	o, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	run := func(ctx context.Context, c channels) error {
		resp, err := s.Runtime.Attach(ctx, &runtimeapi.AttachRequest{ContainerId: id, Tty: o.TTY, Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr && !o.TTY})
		if err != nil {
			return err
		}
		return c.join(ctx, resp.Url)
	}
	if serveWebSocket(w, r, o, run) {
		return
	}
	remotecommand.ServeAttach(w, r, commandRunner(run), "", "", id, o, idleTimeout, creationTimeout, remotecommand.SupportedStreamingProtocols)
}

// channels are what a client's connection carries.
type channels struct {
	in       io.Reader
	out, err io.Writer
	tty      bool
	resize   <-chan remotecommand.TerminalSize
}

// join connects the channels to the runtime's streaming server at address.
func (c channels) join(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	exec, err := clientremote.NewSPDYExecutor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{Insecure: true}}, http.MethodPost, u)
	if err != nil {
		return err
	}
	o := clientremote.StreamOptions{Stdin: c.in, Stdout: c.out, Stderr: c.err, Tty: c.tty}
	if c.resize != nil {
		o.TerminalSizeQueue = sizes(c.resize)
	}
	return exec.StreamWithContext(ctx, o)
}

type sizes <-chan remotecommand.TerminalSize

func (s sizes) Next() *clientremote.TerminalSize {
	size, ok := <-s
	if !ok {
		return nil
	}
	return &clientremote.TerminalSize{Width: size.Width, Height: size.Height}
}

// commandRunner serves the SPDY side of cri-streaming.
type commandRunner func(context.Context, channels) error

func (f commandRunner) ExecInContainer(ctx context.Context, _, _, _ string, _ []string, in io.Reader, out, err io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	return f(ctx, wrap(in, out, err, tty, resize))
}

func (f commandRunner) AttachContainer(ctx context.Context, _, _, _ string, in io.Reader, out, err io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	return f(ctx, wrap(in, out, err, tty, resize))
}

// wrap keeps streams that are not there from becoming interfaces that are not nil.
func wrap(in io.Reader, out, err io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) channels {
	c := channels{tty: tty, resize: resize}
	if in != nil {
		c.in = in
	}
	if out != nil {
		c.out = out
	}
	if err != nil {
		c.err = err
	}
	return c
}
