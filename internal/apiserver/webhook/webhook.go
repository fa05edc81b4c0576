// Package webhook calls the HTTPS servers that configuration objects name: by URL,
// or as a Service of the cluster. It posts JSON and reads JSON.
//
// What it never does: follow redirects, send credentials, read answers without
// bounds, or trust another CA than the one configured.
package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Target is where a webhook is.
type Target struct {
	URL      string // or:
	Service  *Service
	CABundle []byte // nil: the system's
}

// Service is a port of a Service.
type Service struct {
	Namespace, Name, Path string
	Port                  int32
}

// Caller calls webhooks. Connections are kept and shared.
type Caller struct {
	// Resolve finds an address behind a Service's port.
	Resolve func(ctx context.Context, namespace, name string, port int32) (string, error)
	// Dial opens connections; nil is the network's own.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu      sync.Mutex
	clients map[clientKey]*http.Client
}

type clientKey struct {
	name string // of a Service; empty for URLs
	ca   [sha256.Size]byte
}

// maxAnswer bounds what is read.
const maxAnswer = 3 << 20

// StatusError is an answer that is not 200.
type StatusError struct {
	Code int
	Body string
}

// Error is what clients of Kubernetes make of such an answer.
func (e *StatusError) Error() string {
	return apierrors.NewGenericServerResponse(e.Code, http.MethodPost, schema.GroupResource{}, "", e.Body, 0, true).Error()
}

// ErrTooLong is wrapped by the errors for answers that are longer than what is read.
var ErrTooLong = errors.New("the webhook's answer is too long")

// Post sends in and reads the answer into out.
func (c *Caller) Post(ctx context.Context, t Target, timeout time.Duration, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	u, err := t.url(timeout)
	if err != nil {
		return err
	}
	client, err := c.client(t)
	if err != nil {
		return err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, */*")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("read the webhook's answer: %w", err)
	case len(b) > maxAnswer:
		return fmt.Errorf("%w: more than %d bytes", ErrTooLong, maxAnswer)
	case resp.StatusCode != http.StatusOK:
		return &StatusError{resp.StatusCode, strings.TrimSpace(string(b[:min(len(b), 1024)]))}
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("the webhook's answer is not what it should be: %w", err)
	}
	return nil
}

func (t *Target) url(timeout time.Duration) (string, error) {
	var u *url.URL
	switch {
	case t.Service != nil:
		u = &url.URL{Scheme: "https", Host: net.JoinHostPort(t.Service.host(), strconv.Itoa(int(t.Service.Port))), Path: "/" + strings.TrimPrefix(t.Service.Path, "/")}
	case t.URL != "":
		var err error
		if u, err = url.Parse(t.URL); err != nil {
			return "", err
		}
		if u.Scheme != "https" {
			return "", errors.New("webhooks are called by HTTPS only")
		}
	default:
		return "", errors.New("neither a URL nor a service is configured")
	}
	q := u.Query()
	q.Set("timeout", timeout.String())
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// host is the name that the service's certificate must have.
func (s *Service) host() string { return s.Name + "." + s.Namespace + ".svc" }

func (c *Caller) client(t Target) (*http.Client, error) {
	key := clientKey{ca: sha256.Sum256(t.CABundle)}
	if t.Service != nil {
		key.name = net.JoinHostPort(t.Service.host(), strconv.Itoa(int(t.Service.Port)))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.clients[key]; have != nil {
		return have, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(t.CABundle) > 0 {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(t.CABundle) {
			return nil, errors.New("unable to load root certificates: unable to parse bytes as PEM block")
		}
	}
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	}
	if svc := t.Service; svc != nil {
		cfg.ServerName = svc.host()
		namespace, name, port, next := svc.Namespace, svc.Name, svc.Port, dial
		dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			addr, err := c.Resolve(ctx, namespace, name, port)
			if err != nil {
				return nil, err
			}
			return next(ctx, network, addr)
		}
	}
	made := &http.Client{
		Transport: &http.Transport{TLSClientConfig: cfg, DialContext: dial, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4,
			IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if c.clients == nil {
		c.clients = map[clientKey]*http.Client{}
	}
	// Configurations come and go; the connections of those that went must not stay.
	if len(c.clients) >= maxClients {
		for k, old := range c.clients {
			old.CloseIdleConnections()
			delete(c.clients, k)
		}
	}
	c.clients[key] = made
	return made, nil
}

const maxClients = 256
