// Package cli is what skiff's own verbs do against a running instance: history,
// diff and restore.
//
// In: a kubeconfig, the names of objects, points in time. Out: text for people, and, of
// restore, ordinary writes. Everything goes through the API as any client's requests do:
// reads at a revision (resourceVersionMatch=Exact), watches from the oldest
// revision, creates and updates, which admission and validation see.
//
// Read server.go first, then resource.go, point.go, history.go, diff.go, restore.go.
package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Server is an API server that verbs talk to.
type Server struct {
	http *http.Client
	base string
	kind []resource // what discovery told; filled when first asked for
}

// NewServer talks to a server at a URL.
func NewServer(c *http.Client, base string) *Server {
	return &Server{http: c, base: strings.TrimSuffix(base, "/")}
}

// Open reads a kubeconfig as skiff writes it: one cluster, one user, credentials within.
func Open(kubeconfig string) (*Server, error) {
	b, err := os.ReadFile(kubeconfig)
	if err != nil {
		return nil, err
	}
	var c clientcmdapi.Config
	if err := yaml.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", kubeconfig, err)
	}
	if len(c.Clusters) == 0 || len(c.AuthInfos) == 0 {
		return nil, fmt.Errorf("%s names no cluster or no user", kubeconfig)
	}
	cluster, user := c.Clusters[0].Cluster, c.AuthInfos[0].AuthInfo
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(cluster.CertificateAuthorityData) {
		return nil, fmt.Errorf("%s has no certificate authority", kubeconfig)
	}
	cert, err := tls.X509KeyPair(user.ClientCertificateData, user.ClientKeyData)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kubeconfig, err)
	}
	t := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}, ServerName: cluster.TLSServerName}, ForceAttemptHTTP2: true}
	return NewServer(&http.Client{Transport: t}, cluster.Server), nil
}

// object is anything that the API serves, as JSON has it, whole numbers as int64.
type object = map[string]any

// open sends a request; the answer is the caller's to close. What is not a success is an API status error.
func (s *Server) open(ctx context.Context, method, path, accept string, body []byte) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("User-Agent", "skiff")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := s.http.Do(r)
	if err != nil {
		return nil, err
	}
	if res.StatusCode < 300 {
		return res.Body, nil
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	var st metav1.Status
	if kjson.UnmarshalCaseSensitivePreserveInts(b, &st) != nil || st.Kind != "Status" {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, b)
	}
	return nil, &apierrors.StatusError{ErrStatus: st}
}

// call sends a request and reads the answer into a value.
func (s *Server) call(ctx context.Context, method, path, accept string, body []byte, into any) error {
	in, err := s.open(ctx, method, path, accept, body)
	if err != nil {
		return err
	}
	defer in.Close()
	b, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	return kjson.UnmarshalCaseSensitivePreserveInts(b, into)
}

func (s *Server) read(ctx context.Context, path string) (object, error) {
	var o object
	return o, s.call(ctx, http.MethodGet, path, "application/json", nil, &o)
}

// notThere tells that an object did not exist.
func notThere(err error) bool { return apierrors.IsNotFound(err) }

var errNoPoint = errors.New("say which revision or time: --to 123, --to 10m, --to 14:05")
