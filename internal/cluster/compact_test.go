package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

// History is kept for its time, then forgotten; after that no timer is left.
func TestCompactor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := mem.New()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- (&compactor{st: st, keep: time.Hour, now: time.Now}).run(ctx) }()
		put := func() {
			if _, err := st.Commit(ctx, store.Txn{Then: []store.Op{{Key: "a", Value: []byte("x")}}}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		want := func(after time.Duration, oldest int64) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if _, got := st.Revision(); got != oldest {
				t.Errorf("at %v: the oldest revision is %d, want %d", time.Now(), got, oldest)
			}
		}
		synctest.Wait()
		time.Sleep(24 * time.Hour) // nothing to forget
		put()                      // 2
		want(30*time.Minute, 1)
		put() // 3
		want(29*time.Minute, 1)
		want(16*time.Minute, 2) // an hour after 2 at the earliest, a quarter later at the latest
		want(30*time.Minute, 3)
		// All is forgotten: the compactor waits for a write, however long.
		time.Sleep(1000 * time.Hour)
		put() // 4
		want(2*time.Hour, 4)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		st.Close()
	})
}
