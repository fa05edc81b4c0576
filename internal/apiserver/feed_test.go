package apiserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

// bytesOnly hands over no companions of what is written, as a store of another process.
type bytesOnly struct{ store.Store }

func (s bytesOnly) Commit(ctx context.Context, t store.Txn) (int64, error) {
	t.Then = slices.Clone(t.Then)
	for i := range t.Then {
		t.Then[i].Ref = nil
	}
	return s.Store.Commit(ctx, t)
}

// TestFeed: every writer sees its own write when the call returns, however many write at once;
// a server that writes nothing sees what another one writes to the same store, all of it and in order;
// and the end of the store is told to all.
func TestFeed(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	st := mem.New()
	serve := func() (*Server, chan error) {
		s, err := New(ctx, Options{Store: bytesOnly{st}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		return s, done
	}
	writes, wrote := serve()
	reads, read := serve()
	t.Cleanup(func() { cancel(); st.Close() })
	c := writes.Client(auth.System)
	if _, err := client.Create(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
		t.Fatal(err)
	}
	const writers, each = 16, 100
	r := all.For[*corev1.ConfigMap]()
	w, err := reads.Client(auth.System).Watch(ctx, r, "", client.Selector{}, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for n := range each {
				name := fmt.Sprintf("c%d-%d", i, n)
				if _, err := client.Create(ctx, c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}); err != nil {
					t.Error(err)
				}
				if _, err := client.Get[*corev1.ConfigMap](ctx, c, "default", name); err != nil {
					t.Errorf("its own write is not there: %v", err)
				}
				if n%2 == 0 {
					continue
				}
				if err := c.Delete(ctx, r, "default", name, metav1.DeleteOptions{}); err != nil {
					t.Error(err)
				}
				if _, err := client.Get[*corev1.ConfigMap](ctx, c, "default", name); err == nil {
					t.Error("its own deletion is not there")
				}
			}
		})
	}
	last := int64(0)
	for seen := 0; seen < writers*each*3/2; {
		events, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("after %d: %v", seen, err)
		}
		for _, e := range events {
			if e.Synced() {
				continue
			}
			if seen++; e.Rev <= last {
				t.Fatalf("revision %d after %d", e.Rev, last)
			}
			last = e.Rev
		}
	}
	all.Wait()
	st.Close()
	for _, done := range []chan error{wrote, read} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := writes.feed.health(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("the feed ended with %v", err)
	}
	if _, err := client.Create(ctx, c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "late", Namespace: "default"}}); err == nil {
		t.Error("a write after the end")
	}
}
