package disk

import (
	"testing"

	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return mustOpen(t, t.TempDir(), Options{}) })
}

// TestSmallSegments runs the suite with segments, snapshots and history so small
// that all of their edges are met.
func TestSmallSegments(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		return mustOpen(t, t.TempDir(), Options{SegmentBytes: 4 << 10, SnapshotBytes: 8 << 10, SnapshotRatio: 1})
	})
}

func mustOpen(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
