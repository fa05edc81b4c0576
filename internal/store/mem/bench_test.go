package mem_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

func filled(b *testing.B, n int) *mem.Store {
	s := mem.New()
	for i := range n {
		put(b, s, fmt.Sprintf("/registry/pods/default/p%06d", i))
	}
	return s
}

func put(b *testing.B, s *mem.Store, key string) {
	if _, err := s.Commit(context.Background(), store.Txn{Then: []store.Op{{Key: key, Value: make([]byte, 1024)}}}); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkRange(b *testing.B) {
	for _, limit := range []int{0, 500} {
		b.Run(fmt.Sprintf("keys=10000,limit=%d", limit), func(b *testing.B) {
			s := filled(b, 10000)
			b.ReportAllocs()
			for b.Loop() {
				if p, err := s.Range(context.Background(), "/registry/pods/", "/registry/pods0", limit, 0); err != nil || len(p.KVs) == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWatch writes to one key until so many watchers of its range have seen it, or
// with so many watchers of other ranges.
func BenchmarkWatch(b *testing.B) {
	for _, c := range []struct{ mine, others int }{{0, 0}, {1, 0}, {100, 0}, {0, 200}} {
		b.Run(fmt.Sprintf("watchers=%d,others=%d", c.mine, c.others), func(b *testing.B) {
			s := mem.New()
			ctx, cancel := context.WithCancel(context.Background())
			var running, seen sync.WaitGroup
			watch := func(from, to string) {
				w, err := s.Watch(ctx, from, to, 0)
				if err != nil {
					b.Fatal(err)
				}
				running.Go(func() {
					defer w.Close()
					for {
						bs, err := w.Next(ctx)
						if err != nil {
							return
						}
						for range bs {
							seen.Done()
						}
					}
				})
			}
			for range c.mine {
				watch("/a/", "/a0")
			}
			for i := range c.others {
				watch(fmt.Sprintf("/b%d/", i), fmt.Sprintf("/b%d0", i))
			}
			b.ReportAllocs()
			for b.Loop() {
				seen.Add(c.mine)
				put(b, s, "/a/x")
				seen.Wait()
			}
			cancel()
			running.Wait()
		})
	}
}
