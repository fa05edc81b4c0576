package apiserver

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

// running is a server on a store of its own, until the test ends.
func running(t *testing.T, now func() time.Time) *Server {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	st := mem.New()
	s, err := New(ctx, Options{Store: st, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; st.Close() })
	return s
}

// TestTied: who follows what is tied to others is told of that, and of every deletion; the
// client that tests use says the same.
func TestTied(t *testing.T) {
	ctx := t.Context()
	s := running(t, time.Now)
	for name, c := range map[string]client.Client{"server": s.Client(auth.System), "clienttest": clienttest.New()} {
		t.Run(name, func(t *testing.T) {
			if _, err := client.Create(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
				t.Fatal(err)
			}
			owners := []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "owner", UID: "1"}}
			write := func(name string, f func(*corev1.ConfigMap)) {
				t.Helper()
				o, err := client.Get[*corev1.ConfigMap](ctx, c, "default", name)
				if err != nil {
					o = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}
					f(o)
					_, err = client.Create(ctx, c, o)
				} else {
					o = o.DeepCopy()
					f(o)
					_, err = client.Update(ctx, c, o)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			r := all.For[*corev1.ConfigMap]()
			write("free", func(o *corev1.ConfigMap) {})
			write("owned", func(o *corev1.ConfigMap) { o.OwnerReferences = owners })
			w, err := c.Watch(ctx, r, "", client.Selector{Tied: true}, -1)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			var got []string
			read := func(n int) {
				for seen := len(got); len(got) < seen+n; {
					events, err := w.Next(ctx)
					if err != nil {
						t.Fatal(err)
					}
					for _, e := range events {
						if e.Synced() {
							got = append(got, "SYNCED")
						} else {
							got = append(got, string(e.Type)+" "+e.Object.GetName())
						}
					}
				}
			}
			read(2)
			write("free", func(o *corev1.ConfigMap) { o.Data = map[string]string{"none": "of its concern"} })
			write("late", func(o *corev1.ConfigMap) {})
			write("late", func(o *corev1.ConfigMap) { o.OwnerReferences = owners })
			write("late", func(o *corev1.ConfigMap) { o.OwnerReferences = nil })
			write("owned", func(o *corev1.ConfigMap) { o.Finalizers = []string{"a/b"} })
			for _, name := range []string{"free", "owned"} {
				if err := c.Delete(ctx, r, "default", name, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			write("late", func(o *corev1.ConfigMap) { o.Finalizers = []string{"a/b"} })
			if err := c.Delete(ctx, r, "default", "late", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			write("late", func(o *corev1.ConfigMap) { o.Finalizers = nil })
			read(7)
			want := []string{"ADDED owned", "SYNCED", "ADDED late", "DELETED late", "MODIFIED owned", "DELETED free", "MODIFIED owned", "ADDED late", "DELETED late"}
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}
