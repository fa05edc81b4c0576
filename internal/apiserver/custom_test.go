package apiserver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/store"
)

// customServer is a server with what custom kinds need, and an administrator who asks it.
type customServer struct {
	*Server
	t    testing.TB
	stop func()
}

func startCustom(t testing.TB, st store.Store, how ...func(*Options)) *customServer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	o := Options{Store: st, Log: slog.New(loud{t, slog.DiscardHandler})}
	for _, f := range how {
		f(&o)
	}
	s, err := New(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	definitions, stopDefinitions := context.WithCancel(ctx)
	defined := make(chan struct{})
	go func() {
		defer close(defined)
		if err := s.RunDefinitions(definitions); err != nil && s.feed.health() == nil {
			t.Error(err)
		}
	}()
	c := &customServer{Server: s, t: t, stop: sync.OnceFunc(func() {
		stopDefinitions()
		<-defined
		cancel()
		running.Wait()
	})}
	t.Cleanup(c.stop)
	l := s.Client(auth.System)
	if _, err := client.Get[*corev1.Namespace](ctx, l, "", "default"); err != nil {
		if _, err := client.Create(ctx, l, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// loud fails the test of a server that logs a panic.
type loud struct {
	t testing.TB
	slog.Handler
}

func (l loud) Enabled(context.Context, slog.Level) bool { return true }

func (l loud) Handle(_ context.Context, r slog.Record) error {
	if r.Level < slog.LevelError {
		return nil
	}
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	l.t.Errorf("logged: %s", text)
	return nil
}

// ask makes a request. A body without a Content-Type is JSON, or what a patch is by its beginning.
func (s *customServer) ask(method, path, body string, header ...string) (int, string) {
	r := asMasters(httptest.NewRequest(method, path, strings.NewReader(body)))
	switch {
	case method == "PATCH" && strings.HasPrefix(body, "["):
		r.Header.Set("Content-Type", "application/json-patch+json")
	case method == "PATCH" && !strings.HasPrefix(body, "{"):
		r.Header.Set("Content-Type", "application/apply-patch+yaml")
	case method == "PATCH":
		r.Header.Set("Content-Type", "application/merge-patch+json")
	case body != "":
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// want asks and wants an answer with all of the texts in it; those that begin with "!" must not be.
func (s *customServer) want(code int, method, path, body string, texts ...string) string {
	s.t.Helper()
	have, got := s.ask(method, path, body)
	if have != code {
		s.t.Errorf("%s %s: %d, want %d: %.1000s", method, path, have, code, got)
		return got
	}
	for _, text := range texts {
		not := strings.HasPrefix(text, "!")
		if strings.Contains(got, strings.TrimPrefix(text, "!")) == not {
			s.t.Errorf("%s %s: want %s\n%.2000s", method, path, text, got)
		}
	}
	return got
}

const definitionsPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

// versionOf is a version of a definition with a schema of its spec's properties.
func versionOf(name string, storage bool, properties string, more ...string) string {
	return fmt.Sprintf(`{"name":%q,"served":true,"storage":%v,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{%s}},"status":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}%s}`,
		name, storage, properties, strings.Join(more, ""))
}

// definitionOf is a definition of a kind by its plural, in the group example.com; its kind is the plural with a capital.
func definitionOf(plural, conversion string, versions ...string) string {
	if conversion == "" {
		conversion = `{"strategy":"None"}`
	}
	return fmt.Sprintf(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"%[1]s.example.com"},"spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"%[1]s","kind":"%[2]s"},"conversion":%[3]s,"versions":[%[4]s]}}`,
		plural, kindFrom(plural), conversion, strings.Join(versions, ","))
}

func kindFrom(plural string) string { return strings.ToUpper(plural[:1]) + plural[1:] }

// define makes a kind and returns when it is served.
func (s *customServer) define(definition string) {
	s.t.Helper()
	code, body := s.ask("POST", definitionsPath, definition)
	if code != 201 {
		s.t.Fatalf("%d %s", code, body)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := json.Unmarshal([]byte(body), &crd); err != nil {
		s.t.Fatal(err)
	}
	s.await(crd.Name, func(crd *apiextensionsv1.CustomResourceDefinition) bool { return crd != nil && established(crd) })
}

// await returns when a definition is as wanted; nil: it is gone.
func (s *customServer) await(name string, is func(*apiextensionsv1.CustomResourceDefinition) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	row := definitionRow()
	after := s.feed.applied.Load()
	have, err := client.Get[*apiextensionsv1.CustomResourceDefinition](ctx, s.Client(auth.System), "", name)
	if err != nil {
		have = nil
	}
	if is(have) {
		return
	}
	w, err := s.Client(auth.System).Watch(ctx, row, "", client.Selector{}, after)
	if err != nil {
		s.t.Fatal(err)
	}
	defer w.Close()
	for {
		events, err := w.Next(ctx)
		if err != nil {
			s.t.Fatalf("definition %s: %v", name, err)
		}
		for _, ev := range events {
			if ev.Object == nil || ev.Object.GetName() != name {
				continue
			}
			crd := ev.Object.(*apiextensionsv1.CustomResourceDefinition)
			if ev.Type == "DELETED" {
				crd = nil
			}
			if is(crd) {
				return
			}
		}
	}
}

// awaitObject returns when an object of the kind is as wanted.
func (s *customServer) awaitObject(plural string, is func(api.Object) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w, err := s.Client(auth.System).Watch(ctx, s.rowOf("v1", plural), "", client.Selector{}, -1)
	if err != nil {
		s.t.Fatal(err)
	}
	defer w.Close()
	for {
		events, err := w.Next(ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, ev := range events {
			if ev.Object != nil && is(ev.Object) {
				return
			}
		}
	}
}

func (s *customServer) rowOf(version, plural string) *api.Resource {
	return s.row(schema.GroupVersionResource{Group: "example.com", Version: version, Resource: plural})
}

// stored is the stored form of an object.
func (s *customServer) stored(plural, name string) string {
	s.t.Helper()
	kv, _, err := s.Store.Get(context.Background(), "/registry/example.com/"+plural+"/default/"+name, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(kv.Value)
}

func pathOf(version, plural string, name ...string) string {
	return strings.Join(append([]string{"/apis/example.com/" + version + "/namespaces/default/" + plural}, name...), "/")
}

// objectOf is an object of such a kind, with a spec in JSON.
func objectOf(version, plural, name, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"example.com/%s","kind":%q,"metadata":{"name":%q},"spec":%s}`, version, kindFrom(plural), name, spec)
}

// watching is a watch over HTTP.
type watching struct {
	t      testing.TB
	body   io.ReadCloser
	lines  *bufio.Reader
	closed func()
}

func (s *customServer) watchOver(h *httptest.Server, path string, header ...string) *watching {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, "GET", h.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := h.Client().Do(r)
	if err != nil {
		cancel()
		s.t.Fatal(err)
	}
	w := &watching{t: s.t, body: resp.Body, lines: bufio.NewReader(resp.Body), closed: sync.OnceFunc(func() {
		cancel()
		resp.Body.Close()
	})}
	s.t.Cleanup(w.closed)
	if resp.StatusCode != 200 {
		b, _ := io.ReadAll(resp.Body)
		s.t.Fatalf("%s: %d %s", path, resp.StatusCode, b)
	}
	return w
}

// next is the next event; nothing when the watch has ended.
func (w *watching) next() string {
	line, err := w.lines.ReadString('\n')
	if err != nil && err != io.EOF {
		w.t.Errorf("watch: %v", err)
	}
	return line
}

func (w *watching) want(texts ...string) {
	w.t.Helper()
	line := w.next()
	for _, text := range texts {
		if !strings.Contains(line, text) {
			w.t.Errorf("event %q, want %s", line, text)
		}
	}
}

func readAll(r io.ReadCloser) string {
	defer r.Close()
	b, _ := io.ReadAll(r)
	return string(b)
}
