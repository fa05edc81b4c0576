// Package api holds transcripts of requests and answers, run against a whole API
// server on each store. A transcript is a text file of exchanges:
//
//	# comment
//	> POST /api/v1/namespaces/default/configmaps?dryRun=All
//	> Content-Type: application/yaml
//	{"body": "any number of lines"}
//	< 201
//	< Warning: 299 - "a header that must be there"
//	= text that must be in the body
//	! text that must not be in the body
//
// A line "~ text" has the request made again until the text is in the answer.
//
// $name in a request stands for a value that an earlier exchange captured with
//
//	@ name metadata.resourceVersion
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/apiserver"
	"github.com/skiff-k8s/skiff/internal/apiserver/flow"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/disk"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

func TestTranscripts(t *testing.T) {
	stores := map[string]func(t *testing.T) store.Store{
		"mem": func(*testing.T) store.Store { return mem.New() },
		"disk": func(t *testing.T) store.Store {
			s, err := disk.Open(t.TempDir(), disk.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for name, open := range stores {
		for _, file := range files {
			t.Run(name+"/"+strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
				t.Parallel()
				run(t, file, open(t))
			})
		}
	}
}

func run(t *testing.T, file string, st store.Store) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := apiserver.New(ctx, apiserver.Options{Store: st, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	flowCtx, stopFlow := context.WithCancel(ctx)
	done := make(chan error, 2)
	go func() { done <- s.Run(ctx) }()
	go func() { done <- s.RunFlowControl(flowCtx) }()
	go s.RunDefinitions(flowCtx)
	t.Cleanup(func() {
		stopFlow()
		<-done
		cancel()
		<-done
		st.Close()
	})
	c := s.Client(auth.System)
	awaitFlow(ctx, t, c)
	if _, err := client.Create(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Create(ctx, c, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: "default"}}); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{}
	for _, e := range parse(string(b)) {
		e.run(t, s, vars)
	}
}

// awaitFlow returns when the objects of flow control are there and nothing is left to do about them.
func awaitFlow(ctx context.Context, t *testing.T, c client.Client) {
	w, err := c.Watch(ctx, all.For[*flowcontrolv1.FlowSchema](), "", client.Selector{}, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ready := map[string]bool{}
	for len(ready) < len(flow.Schemas()) {
		events, err := w.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if o, ok := e.Object.(*flowcontrolv1.FlowSchema); ok && len(o.Status.Conditions) > 0 {
				ready[o.Name] = true
			}
		}
	}
}

// exchange is one request and what is wanted of the answer.
type exchange struct {
	line                   int
	method, url            string
	header                 http.Header
	body                   []string
	status                 int
	wantHeader, want, deny []string
	await                  []string // the request is made again until these are in the answer
	capture                [][2]string
}

func parse(text string) []*exchange {
	var out []*exchange
	var e *exchange
	answered := true
	for n, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "> ") && answered:
			e = &exchange{line: n + 1, header: http.Header{}}
			e.method, e.url, _ = strings.Cut(line[2:], " ")
			out, answered = append(out, e), false
		case strings.HasPrefix(line, "> "):
			k, v, _ := strings.Cut(line[2:], ": ")
			e.header.Add(k, v)
		case strings.HasPrefix(line, "< ") && e.status == 0:
			e.status, _ = strconv.Atoi(line[2:])
			answered = true
		case strings.HasPrefix(line, "< "):
			e.wantHeader = append(e.wantHeader, line[2:])
		case strings.HasPrefix(line, "= "):
			e.want = append(e.want, line[2:])
		case strings.HasPrefix(line, "~ "):
			e.await = append(e.await, line[2:])
		case strings.HasPrefix(line, "! "):
			e.deny = append(e.deny, line[2:])
		case strings.HasPrefix(line, "@ "):
			name, path, _ := strings.Cut(line[2:], " ")
			e.capture = append(e.capture, [2]string{name, path})
		case !answered:
			e.body = append(e.body, line)
		}
	}
	return out
}

func (e *exchange) run(t *testing.T, h http.Handler, vars map[string]string) {
	t.Helper()
	fill := func(s string) string {
		for k, v := range vars {
			s = strings.ReplaceAll(s, "$"+k, v)
		}
		return s
	}
	body := fill(strings.TrimRight(strings.Join(e.body, "\n"), "\n"))
	// {{N x}} repeats x N times, for what is too large to print.
	for {
		pre, rest, ok := strings.Cut(body, "{{")
		if !ok {
			break
		}
		spec, post, _ := strings.Cut(rest, "}}")
		count, unit, _ := strings.Cut(spec, " ")
		n, _ := strconv.Atoi(count)
		body = pre + strings.Repeat(unit, n) + post
	}
	w, got := e.ask(t, h, fill(e.url), body)
	for end := time.Now().Add(time.Minute); slices.ContainsFunc(e.await, func(s string) bool { return !strings.Contains(got, fill(s)) }); w, got = e.ask(t, h, fill(e.url), body) {
		if time.Now().After(end) {
			t.Errorf("line %d: %s %s: %q did not come:\n%s", e.line, e.method, e.url, e.await, got)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	e.check(t, w, got, fill)
	for _, c := range e.capture {
		vars[c[0]] = pick(got, c[1])
	}
}

// ask makes the request.
func (e *exchange) ask(t *testing.T, h http.Handler, url, body string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	r := httptest.NewRequest(e.method, url, bytes.NewBufferString(body))
	for k, v := range e.header {
		r.Header[k] = v
	}
	if r.Header.Get("Content-Type") == "" && body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if strings.HasSuffix(r.Header.Get("Content-Type"), "cbor") {
		r.Body = io.NopCloser(bytes.NewReader(toCBOR(t, body)))
	}
	asAdmin(r)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	got := w.Body.String()
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/cbor") {
		got = fromCBOR(t, w.Body.Bytes())
	}
	return w, got
}

// check compares the answer with what is wanted.
func (e *exchange) check(t *testing.T, w *httptest.ResponseRecorder, got string, fill func(string) string) {
	t.Helper()
	if w.Code != e.status {
		t.Errorf("line %d: %s %s: status %d, want %d\n%s", e.line, e.method, e.url, w.Code, e.status, got)
		return
	}
	for _, want := range e.wantHeader {
		k, v, _ := strings.Cut(want, ": ")
		if !strings.Contains(strings.Join(w.Header().Values(k), "\n"), fill(v)) {
			t.Errorf("line %d: %s %s: header %s is %q, want %q in it", e.line, e.method, e.url, k, w.Header().Values(k), v)
		}
	}
	for _, want := range e.want {
		if !strings.Contains(got, fill(want)) {
			t.Errorf("line %d: %s %s: no %q in\n%s", e.line, e.method, e.url, fill(want), got)
		}
	}
	for _, deny := range e.deny {
		if strings.Contains(got, fill(deny)) {
			t.Errorf("line %d: %s %s: unwanted %q in\n%s", e.line, e.method, e.url, fill(deny), got)
		}
	}
}

// pick reads a dotted path from JSON.
func pick(body, path string) string {
	var v any
	if json.Unmarshal([]byte(body), &v) != nil {
		return ""
	}
	for _, p := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[p]
	}
	return fmt.Sprint(v)
}
