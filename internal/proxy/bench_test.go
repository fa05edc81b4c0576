package proxy

import (
	"fmt"
	"testing"

	"github.com/skiff-k8s/skiff/internal/proxy/nft"
)

// BenchmarkChange is one endpoint of one Service among many, from the slice to the kernel.
func BenchmarkChange(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) { benchmarkChange(b, n) })
	}
}

func benchmarkChange(b *testing.B, n int) {
	err := onThread(func() error {
		if err := unshareNetwork(); err != nil {
			return err
		}
		table, err := nft.Open("skiff-bench", labCIDR)
		if err != nil {
			return err
		}
		defer table.Close()
		s := NewState(Node{Name: "here"})
		for i := range n {
			name := fmt.Sprintf("s%d", i)
			s.SetService(makeService(name, fmt.Sprintf("10.96.%d.%d", i/250, i%250+1)))
			s.SetSlice(makeSlice(name, fmt.Sprintf("10.244.%d.1", i%250), fmt.Sprintf("10.244.%d.2", i%250)))
		}
		s.Changes()
		if err := table.Replace(s.Elements()); err != nil {
			return err
		}
		b.ResetTimer()
		for i := range b.N {
			s.SetSlice(makeSlice("s7", "10.244.7.1", fmt.Sprintf("10.244.7.%d", 2+i%2)))
			c := s.Changes()
			if err := table.Update(c.Remove, c.Add); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkReplace is the whole table at once, as at the start.
func BenchmarkReplace(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			err := onThread(func() error {
				if err := unshareNetwork(); err != nil {
					return err
				}
				table, err := nft.Open("skiff-bench", labCIDR)
				if err != nil {
					return err
				}
				defer table.Close()
				for b.Loop() {
					s := NewState(Node{Name: "here"})
					for i := range n {
						name := fmt.Sprintf("s%d", i)
						s.SetService(makeService(name, fmt.Sprintf("10.96.%d.%d", i/250, i%250+1)))
						s.SetSlice(makeSlice(name, fmt.Sprintf("10.244.%d.1", i%250), fmt.Sprintf("10.244.%d.2", i%250)))
					}
					s.Changes()
					if err := table.Replace(s.Elements()); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
