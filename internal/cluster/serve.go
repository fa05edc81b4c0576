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
)

// listen opens the API server's port, so that a port in use is told before anything else starts.
func (c *Config) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(c.BindAddress, strconv.Itoa(c.SecurePort)))
	if err != nil {
		return nil, fmt.Errorf("open the API server's port (choose another with --secure-port): %w", err)
	}
	return l, nil
}

// serve answers HTTPS until the context ends.
func serve(ctx context.Context, l net.Listener, p *pki, h http.Handler, log *slog.Logger) error {
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
			MaxConcurrentStreams:          250,
			MaxReceiveBufferPerConnection: 4 << 20,
			MaxReceiveBufferPerStream:     1 << 20,
		},
		// Slow senders of headers must not hold connections; bodies and watches may take their time.
		ReadHeaderTimeout: 32 * time.Second,
		IdleTimeout:       3 * time.Minute,
		MaxHeaderBytes:    1 << 20,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() {
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(short) != nil {
			srv.Close()
		}
	})
	defer stop()
	err := srv.ServeTLS(l, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
