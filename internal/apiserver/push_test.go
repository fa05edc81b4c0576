package apiserver

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/http2"
)

// TestPushed: watchers whose events the pump sends, many of them at a time and each in its own
// way, are told byte for byte what a handler of their own tells.
func TestPushed(t *testing.T) {
	ctx := t.Context()
	s := running(t, time.Now)
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, asMasters(r)) }))
	http2.Configure(ts.Config, http2.Options{})
	ts.EnableHTTP2 = true
	ts.Listener = http2.Listen(ts.Listener)
	ts.StartTLS()
	t.Cleanup(ts.Close)
	old := ts.Client().Transport.(*http.Transport).Clone()
	old.Protocols = new(http.Protocols)
	old.Protocols.SetHTTP1(true)
	old.ForceAttemptHTTP2, old.TLSNextProto, old.TLSClientConfig.NextProtos = false, nil, nil
	t.Cleanup(old.CloseIdleConnections)
	handled := &http.Client{Transport: old}

	c := s.Client(auth.System)
	for _, ns := range []string{"default", "other"} {
		if _, err := client.Create(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}); err != nil {
			t.Fatal(err)
		}
	}
	rev := s.feed.applied.Load()
	const proto = "application/vnd.kubernetes.protobuf;stream=watch"
	type reader struct {
		how, query, accept string
		all                []byte
		proto              int
	}
	var readers []*reader
	var seen, over sync.WaitGroup
	heard := make(chan struct{}, 1000) // by one who is told everything
	for _, v := range [][2]string{
		{"/api/v1/namespaces/default/configmaps?watch=1", proto},
		{"/api/v1/namespaces/default/configmaps?watch=1", "application/json"},
		{"/api/v1/configmaps?watch=1", proto},
		{"/api/v1/configmaps?watch=1&allowWatchBookmarks=false", "application/json"},
		{"/api/v1/namespaces/default/configmaps?watch=1&labelSelector=a%3D1", proto},
		{"/api/v1/namespaces/default/configmaps?watch=1&labelSelector=a%3D1", "application/json"},
		{"/api/v1/configmaps?watch=1&fieldSelector=metadata.name%3Dx", "application/json"},
		{"/api/v1/namespaces/default/configmaps?watch=1&fieldSelector=metadata.name%3Dx", proto},
		{"/api/v1/namespaces/default/configmaps?watch=1", "application/json;as=Table;g=meta.k8s.io;v=v1"},
		{"/api/v1/namespaces/default/configmaps?watch=1", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"},
		{"/api/v1/namespaces/default/configmaps?watch=1", "application/cbor-seq"},
	} {
		for _, from := range []int64{rev, rev + 2} {
			for how, hc := range map[string]*http.Client{"handled": handled, "pushed": ts.Client(), "pushed too": ts.Client()} {
				rd := &reader{how: how, query: fmt.Sprintf("%s&resourceVersion=%d", v[0], from), accept: v[1]}
				req, err := http.NewRequestWithContext(ctx, "GET", ts.URL+rd.query, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Accept", rd.accept)
				res, err := hc.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if res.StatusCode != 200 {
					t.Fatal(rd.query, res.Status)
				}
				rd.proto = res.ProtoMajor
				readers = append(readers, rd)
				seen.Add(1)
				paces := how == "pushed" && v[0] == "/api/v1/configmaps?watch=1" && from == rev
				over.Go(func() {
					defer res.Body.Close()
					buf := make([]byte, 64<<10)
					for found := false; ; {
						n, err := res.Body.Read(buf)
						rd.all = append(rd.all, buf[:n]...)
						if paces {
							heard <- struct{}{}
						}
						if !found && bytes.Contains(rd.all, []byte("the-end")) {
							found = true
							seen.Done()
						}
						if err != nil {
							if !found {
								t.Errorf("%s %s: %v", rd.how, rd.query, err)
								seen.Done()
							}
							return
						}
					}
				})
			}
		}
	}
	o := func(ns, name, a string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns, Labels: map[string]string{"a": a}}, Data: map[string]string{"k": a}}
	}
	write := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		<-heard // or there were too many at a time for the pump
	}
	create := func(o *corev1.ConfigMap) { _, err := client.Create(ctx, c, o); write(err) }
	update := func(o *corev1.ConfigMap) { _, err := client.Update(ctx, c, o); write(err) }
	for i := range 3 {
		create(o("default", "x", "1"))
		create(o("other", "x", "1"))
		update(o("default", "x", "2"))
		update(o("default", "x", fmt.Sprint(3+i)))
		update(o("default", "x", "1"))
		create(o("default", fmt.Sprint("y", i), "1"))
		write(c.Delete(ctx, all.For[*corev1.ConfigMap](), "default", "x", metav1.DeleteOptions{}))
		write(c.Delete(ctx, all.For[*corev1.ConfigMap](), "other", "x", metav1.DeleteOptions{}))
	}
	last := o("default", "x", "1")
	last.Annotations = map[string]string{"n": "the-end"}
	create(last)
	seen.Wait()
	s.Drain()
	over.Wait()
	age := regexp.MustCompile(`"\d+s"`)
	for _, rd := range readers {
		rd.all = age.ReplaceAll(rd.all, []byte(`"age"`))
	}
	want := map[string][]byte{}
	for _, rd := range readers {
		if rd.how == "handled" {
			want[rd.query+rd.accept] = rd.all
			if rd.proto != 1 {
				t.Fatalf("HTTP/%d", rd.proto)
			}
		}
	}
	for _, rd := range readers {
		if w := want[rd.query+rd.accept]; !bytes.Equal(rd.all, w) {
			t.Errorf("%s %s as %s:\n%.2000q\nwant\n%.2000q", rd.how, rd.query, rd.accept, rd.all, w)
		}
		if rd.how != "handled" && rd.proto != 2 {
			t.Errorf("%s over HTTP/%d", rd.how, rd.proto)
		}
	}
}
