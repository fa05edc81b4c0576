package apiserver

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// Large answers to reads are compressed for whom takes gzip, and say the same as they do without.
func TestCompress(t *testing.T) {
	b := besiege(t)
	c := b.Client(auth.System)
	for i, n := range []int{100, 60 << 10, 200 << 10} {
		o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("c%d", i), Namespace: "default"}, Data: map[string]string{"a": strings.Repeat("abcdefg ", n/8)}}
		if _, err := client.Create(context.Background(), c, o); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(method, target, accept, encoding string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, target, nil)
		r.Header.Set("Accept", accept)
		if encoding != "" {
			r.Header.Set("Accept-Encoding", encoding)
		}
		w := httptest.NewRecorder()
		b.ServeHTTP(w, asMasters(r))
		return w
	}
	for _, tc := range []struct {
		method, target, accept, encoding string
		zipped                           bool
	}{
		{"GET", configMaps, mediaJSON, "gzip", true},
		{"GET", configMaps, mediaJSON, "deflate, gzip", true},
		{"GET", configMaps, mediaJSON, "", false},
		{"GET", configMaps, mediaJSON, "gzip;q=0", false},
		{"GET", configMaps, mediaJSON, "br", false},
		{"GET", configMaps, mediaProtobuf, "gzip", true},
		{"GET", configMaps, mediaYAML, "gzip", true},
		{"GET", configMaps, mediaCBOR, "gzip", true},
		{"GET", configMaps + "?limit=2", mediaJSON, "gzip", false},
		{"GET", configMaps + "?limit=2", mediaProtobuf, "gzip", false},
		{"GET", configMaps + "/c2", mediaJSON, "gzip", true},
		{"GET", configMaps + "/c2", mediaProtobuf, "gzip", true},
		{"GET", configMaps + "/c0", mediaJSON, "gzip", false},
		{"GET", configMaps + "/none", mediaJSON, "gzip", false},
		{"DELETE", configMaps + "/c2?dryRun=All", mediaJSON, "gzip", false},
		{"GET", "/openapi/v2", mediaJSON, "gzip", true},
	} {
		name := tc.method + " " + tc.target + " " + tc.accept + " " + tc.encoding
		plain, got := ask(tc.method, tc.target, tc.accept, ""), ask(tc.method, tc.target, tc.accept, tc.encoding)
		h := got.Header()
		if zipped := h.Get("Content-Encoding") == "gzip"; zipped != tc.zipped {
			t.Errorf("%s: compressed: %v", name, zipped)
			continue
		}
		body := got.Body.String()
		if tc.zipped {
			if h.Get("Content-Length") != "" || !strings.Contains(strings.Join(h.Values("Vary"), ","), "Accept-Encoding") {
				t.Errorf("%s: %v", name, h)
			}
			if len(body) > plain.Body.Len()/2 {
				t.Errorf("%s: %d bytes of %d", name, len(body), plain.Body.Len())
			}
			z, err := gzip.NewReader(got.Body)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			all, err := io.ReadAll(z)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			body = string(all)
		} else if n := h.Get("Content-Length"); n != "" && n != strconv.Itoa(len(body)) {
			t.Errorf("%s: Content-Length %s, body %d", name, n, len(body))
		}
		if body != plain.Body.String() && tc.target != configMaps+"?limit=2" {
			t.Errorf("%s: %d bytes say something else than %d", name, len(body), plain.Body.Len())
		}
	}
}

// Streams are never held back, whatever the client takes.
func TestWatchIsNotCompressed(t *testing.T) {
	b := besiege(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := httptest.NewRequest("GET", configMaps+"?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", nil).WithContext(ctx)
	r.Header.Set("Accept-Encoding", "gzip")
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() { b.ServeHTTP(&pipeWriter{h: http.Header{}, w: pw}, asMasters(r)); pw.Close(); close(done) }()
	buf := make([]byte, 4096)
	n, err := pr.Read(buf)
	if err != nil || !strings.HasPrefix(string(buf[:n]), `{"type":`) {
		t.Errorf("%q %v", buf[:n], err)
	}
	cancel()
	go io.Copy(io.Discard, pr)
	<-done
}

// pipeWriter is a response whose reader sees each write.
type pipeWriter struct {
	h    http.Header
	w    io.Writer
	code int
}

func (p *pipeWriter) Header() http.Header         { return p.h }
func (p *pipeWriter) WriteHeader(code int)        { p.code = code }
func (p *pipeWriter) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p *pipeWriter) Flush()                      {}
