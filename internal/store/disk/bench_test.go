package disk

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skiff-k8s/skiff/internal/store"
)

// BenchmarkCommit puts 1 KB values, with so many writers at a time.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := mustOpen(b, b.TempDir(), Options{})
			defer s.Close()
			value := make([]byte, 1024)
			for i := range value {
				value[i] = byte(i)
			}
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for {
						n := next.Add(1)
						if n > int64(b.N) {
							return
						}
						op := store.Op{Key: fmt.Sprintf("/registry/configmaps/default/c%d", n%20000), Value: value}
						if _, err := s.Commit(context.Background(), store.Txn{Then: []store.Op{op}}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

// BenchmarkOpen opens a store of 10,000 values of 4 KB, half from the log and half from a snapshot.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := mustOpen(b, dir, Options{})
	for i := range 10000 {
		op := store.Op{Key: fmt.Sprintf("/registry/pods/default/p%d", i), Value: make([]byte, 4096)}
		if _, err := s.Commit(context.Background(), store.Txn{Then: []store.Op{op}, Lazy: true}); err != nil {
			b.Fatal(err)
		}
		if i == 5000 {
			if err := s.tidyUp(false, true); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := Open(dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

// BenchmarkOpenEmpty makes a store.
func BenchmarkOpenEmpty(b *testing.B) {
	for b.Loop() {
		s := mustOpen(b, b.TempDir(), Options{})
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
}
