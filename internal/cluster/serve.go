package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/skiff-k8s/skiff/internal/http2"
)

// listen opens the API server's port, so that a port in use is told before anything else starts.
func (c *Config) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(c.BindAddress, strconv.Itoa(c.SecurePort)))
	if err != nil {
		return nil, fmt.Errorf("open the API server's port (choose another with --secure-port): %w", err)
	}
	return l, nil
}

// apiHandler is what is served: it ends its watches when it is told to.
type apiHandler interface {
	http.Handler
	Drain()
}

// The times that clients have. The API server answers requests within a minute
// (apiserver/deadline.go), so these are longer: they end what it cannot, connections
// that send or take bytes too slowly. Requests that last by their nature are freed
// of them by the API server.
const (
	headerTime   = 32 * time.Second // as upstream
	readTime     = 75 * time.Second // headers and body
	writeTime    = 90 * time.Second // from the end of the headers to the end of the answer
	idleTime     = 3 * time.Minute  // between requests of a connection
	stuckTime    = 30 * time.Second // a HTTP/2 connection that takes no byte of what is ready for it
	shutdownTime = 2 * time.Second  // for what is under way at the end
)

func newHTTPServer(p *pki, h http.Handler, log *slog.Logger) *http.Server {
	cas := x509.NewCertPool()
	cas.AddCert(p.caCert)
	srv := &http.Server{
		Handler: h,
		TLSConfig: &tls.Config{
			MinVersion:   tls.VersionTLS12,
			Certificates: []tls.Certificate{p.server},
			ClientAuth:   tls.VerifyClientCertIfGiven,
			ClientCAs:    cas,
			NextProtos:   []string{"h2", "http/1.1"},
		},
		HTTP2: &http.HTTP2Config{
			// As upstream; it bounds the goroutines of a connection too: whoever opens and resets
			// streams faster than their handlers end (rapid reset, CVE-2023-44487) has as many
			// handlers as this at a time, four times as many waiting, and then no connection.
			MaxConcurrentStreams: 250,
			// What a connection, and a request of it, may have sent that nobody has read yet. A
			// body has at most 3 MB.
			MaxReceiveBufferPerConnection: 4 << 20,
			MaxReceiveBufferPerStream:     1 << 20,
			WriteByteTimeout:              stuckTime,
			// No pings of ours: clients of Kubernetes ping, and TCP's keep-alive finds those who are gone.
		},
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    1 << 20, // as upstream
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	http2.Configure(srv, http2.Options{})
	return srv
}

// serve answers HTTPS until the context ends: then watches end, what is under way
// gets a moment, and the rest is cut off.
func serve(ctx context.Context, l net.Listener, p *pki, h apiHandler, log *slog.Logger) error {
	srv := newHTTPServer(p, h, log)
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		h.Drain()
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		if srv.Shutdown(short) != nil {
			srv.Close()
		}
	})
	err := srv.ServeTLS(http2.Listen(l), "", "")
	if !stop() {
		// The listener is closed first: what is under way ends before this returns.
		<-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
