// Package clientgo exercises client-go against a Skiff server. The same tests run
// with several versions of client-go: `go test -modfile v0.31.mod -tags oldclients ./clientgo`;
// the tag adds tests of what newer releases have no clients for.
package clientgo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/skiff-k8s/skiff/test/client/instance"
)

// start starts a server for a test and gives its administrator's configuration.
func start(t *testing.T) (*instance.Server, *rest.Config) {
	t.Helper()
	s, err := instance.Start(t.TempDir())
	if errors.Is(err, instance.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.Log())
		}
	})
	cfg, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS, cfg.Burst = 200, 200
	return s, cfg
}

func typed(t *testing.T, cfg *rest.Config) kubernetes.Interface {
	t.Helper()
	c, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// speaking is a configuration whose clients speak a media type.
func speaking(cfg *rest.Config, media string) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.ContentType, cfg.AcceptContentTypes = media, media
	if media == runtime.ContentTypeProtobuf {
		cfg.AcceptContentTypes = media + "," + runtime.ContentTypeJSON
	}
	return cfg
}

// requests records what a client asked for.
type requests struct {
	mu   sync.Mutex
	seen []seen
}

type seen struct{ method, path, query, accept, answered string }

func (r *requests) wrap(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return recorder{r, next} })
	return cfg
}

type recorder struct {
	r    *requests
	next http.RoundTripper
}

func (r recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	a, err := r.next.RoundTrip(q)
	s := seen{q.Method, q.URL.Path, q.URL.RawQuery, q.Header.Get("Accept"), ""}
	if a != nil {
		s.answered = a.Header.Get("Content-Type")
	}
	r.r.mu.Lock()
	defer r.r.mu.Unlock()
	r.r.seen = append(r.r.seen, s)
	return a, err
}

func (r *requests) find(f func(seen) bool) []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []seen
	for _, s := range r.seen {
		if f(s) {
			out = append(out, s)
		}
	}
	return out
}

// eventually repeats f until it is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); <-tick.C {
		if f() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// minor is the minor version of the client-go that this is built with: its files'
// paths name it (a test's build information names no modules).
func minor() int {
	file, _ := goruntime.FuncForPC(reflect.ValueOf(rest.CopyConfig).Pointer()).FileLine(0)
	var n int
	if _, version, ok := strings.Cut(file, "client-go@v0."); ok {
		fmt.Sscanf(version, "%d.", &n)
	}
	return n
}

func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	return c
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
