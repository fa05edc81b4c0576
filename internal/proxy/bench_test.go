package proxy

import (
	"fmt"
	"testing"

	"github.com/skiff-k8s/skiff/internal/proxy/nft"
)

// BenchmarkChange is one endpoint of one Service among many, from the slice to the kernel.
func BenchmarkChange(b *testing.B) {
	for _, n := range []int{1000, 10000, 30000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) { benchmarkChange(b, n) })
	}
}

func benchmarkChange(b *testing.B, n int) {
	table := openEmpty(b)
	s := manyServices(n)
	if err := table.Replace(s.Elements(), s.Keeps); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		s.SetSlice(makeSlice("s7", "10.244.7.1", fmt.Sprintf("10.244.7.%d", 2+i%2)))
		c := s.Changes()
		if err := table.Update(c.Remove, c.Add); err != nil {
			b.Fatal(err)
		}
	}
}

// openEmpty opens a table in a network namespace of its own. Only the opening
// needs the thread that is there: afterwards it would slow things down.
func openEmpty(b *testing.B) *nft.Table {
	var table *nft.Table
	err := onThread(func() (err error) {
		if err := unshareNetwork(); err != nil {
			return err
		}
		table, err = nft.Open("skiff-bench", false, labCIDR)
		return err
	})
	if err != nil {
		b.Skip(err)
	}
	b.Cleanup(func() { table.Close() })
	return table
}

func manyServices(n int) *State {
	s := NewState(Node{Name: "here"})
	for i := range n {
		name := fmt.Sprintf("s%d", i)
		s.SetService(makeService(name, fmt.Sprintf("10.96.%d.%d", i/250, i%250+1)))
		s.SetSlice(makeSlice(name, fmt.Sprintf("10.244.%d.1", i%250), fmt.Sprintf("10.244.%d.2", i%250)))
	}
	s.Changes()
	return s
}

// BenchmarkReplace is the whole table at once, as at the start.
func BenchmarkReplace(b *testing.B) {
	for _, n := range []int{1000, 10000, 30000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			table := openEmpty(b)
			for b.Loop() {
				s := manyServices(n)
				if err := table.Replace(s.Elements(), s.Keeps); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
