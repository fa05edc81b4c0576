package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/exec"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// The channels of the WebSocket protocols: the first byte of every message.
const (
	channelIn     = remotecommand.StreamStdIn
	channelOut    = remotecommand.StreamStdOut
	channelErr    = remotecommand.StreamStdErr
	channelStatus = remotecommand.StreamErr
	channelResize = remotecommand.StreamResize
	channelClose  = remotecommand.StreamClose
)

// pingEvery keeps proxies between from closing a session in which nothing is typed.
const pingEvery = 30 * time.Second

// serveWebSocket serves clients that speak the v5 or v4 channel protocol over
// WebSocket, and returns false for all others. v5 is v4 with a way to end stdin.
func serveWebSocket(w http.ResponseWriter, r *http.Request, o *remotecommand.Options, run func(context.Context, channels) error) bool {
	if !websocket.IsWebSocketUpgrade(r) {
		return false
	}
	up := websocket.Upgrader{
		Subprotocols: []string{remotecommand.StreamProtocolV5Name, remotecommand.StreamProtocolV4Name},
		// Who may come here was decided by credentials, not by where a page came from.
		CheckOrigin: func(*http.Request) bool { return true },
	}
	offered := websocket.Subprotocols(r)
	known := false
	for _, p := range offered {
		known = known || p == remotecommand.StreamProtocolV5Name || p == remotecommand.StreamProtocolV4Name
	}
	if !known {
		return false
	}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return true // the upgrader answered
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	s := &socket{conn: conn}
	c := channels{tty: o.TTY}
	if o.Stdout {
		c.out = s.writer(channelOut)
	}
	if o.Stderr && !o.TTY {
		c.err = s.writer(channelErr)
	}
	in, inWriter := io.Pipe()
	if o.Stdin {
		c.in = in
	}
	resize := make(chan remotecommand.TerminalSize, 1)
	if o.TTY {
		c.resize = resize
	}
	go func() {
		defer cancel()
		defer close(resize)
		s.read(inWriter, resize, o.Stdin)
	}()
	go s.ping(ctx)
	// The client waits for a first message to know that the session stands.
	s.send(channelOut, nil)
	s.finish(run(ctx, c))
	in.Close()
	return true
}

// socket writes whole messages from several goroutines.
type socket struct {
	conn *websocket.Conn
	mu   sync.Mutex
}

func (s *socket) send(channel byte, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.SetWriteDeadline(time.Now().Add(time.Minute))
	return s.conn.WriteMessage(websocket.BinaryMessage, append([]byte{channel}, b...))
}

func (s *socket) writer(channel byte) io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		if err := s.send(channel, b); err != nil {
			return 0, err
		}
		return len(b), nil
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// read takes the client's messages until it goes.
func (s *socket) read(in *io.PipeWriter, resize chan<- remotecommand.TerminalSize, stdin bool) {
	defer in.Close()
	for {
		_, b, err := s.conn.ReadMessage()
		if err != nil {
			return
		}
		if len(b) == 0 {
			continue
		}
		switch b[0] {
		case channelIn:
			if stdin {
				if _, err := in.Write(b[1:]); err != nil {
					stdin = false // nobody reads any more; the session goes on
				}
			}
		case channelResize:
			var size remotecommand.TerminalSize
			if json.Unmarshal(b[1:], &size) == nil {
				select {
				case resize <- size:
				default: // a newer size follows
				}
			}
		case channelClose:
			if len(b) > 1 && b[1] == channelIn {
				in.Close()
			}
		}
	}
}

func (s *socket) ping(ctx context.Context) {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// finish tells how the command ended.
func (s *socket) finish(err error) {
	status := metav1.Status{Status: metav1.StatusSuccess}
	var exit exec.CodeExitError
	switch {
	case errors.As(err, &exit):
		status = metav1.Status{Status: metav1.StatusFailure, Reason: remotecommand.NonZeroExitCodeReason,
			Message: fmt.Sprintf("command terminated with non-zero exit code: %v", err),
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: remotecommand.ExitCodeCauseType, Message: fmt.Sprint(exit.Code)}}}}
	case err != nil:
		text := strings.TrimPrefix(err.Error(), "rpc error: ")
		status = metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonInternalError, Code: http.StatusInternalServerError,
			Message: "Internal error occurred: error executing command in container: " + text, Details: &metav1.StatusDetails{}}
	}
	b, _ := json.Marshal(&status)
	s.send(channelStatus, b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(5*time.Second))
}
