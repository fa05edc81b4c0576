package stream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"
	"k8s.io/client-go/rest"
	clientforward "k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// PortForward joins a client's ports to those of a pod.
func (s *Server) PortForward(w http.ResponseWriter, r *http.Request, sandbox string) {
	f := forwarder{s, sandbox}
	if tunnels(r) {
		f.tunnel(w, r)
		return
	}
	o, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, f, "", "", o, idleTimeout, creationTimeout, portforward.SupportedProtocols)
}

// tunnels tells whether the client speaks SPDY inside a WebSocket.
func tunnels(r *http.Request) bool {
	if !websocket.IsWebSocketUpgrade(r) {
		return false
	}
	for _, p := range websocket.Subprotocols(r) {
		if p == portforward.WebsocketsSPDYTunnelingPortForwardV1 {
			return true
		}
	}
	return false
}

type forwarder struct {
	s       *Server
	sandbox string
}

// tunnel takes the WebSocket for a connection and serves SPDY on it.
func (f forwarder) tunnel(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{Subprotocols: []string{portforward.WebsocketsSPDYTunnelingPortForwardV1}, CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader answered
	}
	conn := clientforward.NewTunnelingConnection("server", ws)
	defer conn.Close()
	inner := r.Clone(context.WithoutCancel(r.Context()))
	inner.Method = http.MethodPost
	inner.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"SPDY/3.1"},
		"X-Stream-Protocol-Version": {portforward.ProtocolV1Name},
	}
	portforward.ServePortForward(&tunnelWriter{conn: conn, header: http.Header{}}, inner, f, "", "", &portforward.V4Options{}, idleTimeout, creationTimeout, portforward.SupportedProtocols)
}

// tunnelWriter gives the connection inside the tunnel to whoever upgrades; the
// answer to the upgrade itself has no place in there.
type tunnelWriter struct {
	conn   net.Conn
	header http.Header
}

func (t *tunnelWriter) Header() http.Header         { return t.header }
func (t *tunnelWriter) Write(b []byte) (int, error) { return len(b), nil }
func (t *tunnelWriter) WriteHeader(int)             {}
func (t *tunnelWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return t.conn, bufio.NewReadWriter(bufio.NewReader(t.conn), bufio.NewWriter(t.conn)), nil
}

// PortForward joins one stream to one port of the pod, through the runtime.
func (f forwarder) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	resp, err := f.s.Runtime.PortForward(ctx, &runtimeapi.PortForwardRequest{PodSandboxId: f.sandbox, Port: []int32{port}})
	if err != nil {
		return err
	}
	u, err := url.Parse(resp.Url)
	if err != nil {
		return err
	}
	transport, upgrader, err := spdy.RoundTripperFor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
	if err != nil {
		return err
	}
	conn, _, err := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, u).Dial(portforward.ProtocolV1Name)
	if err != nil {
		return err
	}
	defer conn.Close()
	header := http.Header{}
	header.Set(portforward.StreamType, portforward.StreamTypeError)
	header.Set(portforward.PortHeader, strconv.Itoa(int(port)))
	header.Set(portforward.PortForwardRequestIDHeader, "0")
	failures, err := conn.CreateStream(header)
	if err != nil {
		return err
	}
	failures.Close() // nothing is written there, only read
	header.Set(portforward.StreamType, portforward.StreamTypeData)
	data, err := conn.CreateStream(header)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() {
		b, err := io.ReadAll(failures)
		if err == nil && len(b) > 0 {
			err = errors.New(strings.TrimSpace(string(b)))
		}
		failed <- err
	}()
	back := make(chan struct{})
	go func() {
		defer close(back)
		io.Copy(stream, data)
	}()
	go func() {
		io.Copy(data, stream)
		data.Close() // the other direction may go on
	}()
	select {
	case <-back:
		select {
		case err := <-failed:
			return err
		default:
			return nil
		}
	case err := <-failed:
		if err != nil {
			return err
		}
		<-back
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
