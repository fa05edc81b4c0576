package scheduler

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
)

// BenchmarkSchedule measures one pod: compile, decide, assume.
func BenchmarkSchedule(b *testing.B) {
	rules := []struct {
		name string
		opt  func(a string) func(*corev1.Pod)
	}{
		{"plain", func(string) func(*corev1.Pod) { return func(*corev1.Pod) {} }},
		{"spread", func(a string) func(*corev1.Pod) { return spread(corev1.LabelTopologyZone, 1, corev1.DoNotSchedule, a) }},
		{"anti", func(a string) func(*corev1.Pod) { return anti(corev1.LabelHostname, a) }},
		{"softspread", func(a string) func(*corev1.Pod) { return spread(corev1.LabelTopologyZone, 1, corev1.ScheduleAnyway, a) }},
	}
	sizes := [][2]string{{"100m", "128Mi"}, {"250m", "512Mi"}, {"500m", "1Gi"}, {"1", "2Gi"}}
	for _, nodes := range []int{1000, 5000} {
		for _, r := range rules {
			b.Run(fmt.Sprintf("%s/nodes=%d", r.name, nodes), func(b *testing.B) {
				cluster := manyNodes(nodes, 10)
				pods := make([]*corev1.Pod, 2000)
				for i := range pods {
					a := fmt.Sprintf("app-%d", i%10)
					pods[i] = pod(fmt.Sprintf("p-%d", i), label("app", a), ask(sizes[i%4][0], sizes[i%4][1]), r.opt(a))
				}
				b.ReportAllocs()
				var c *Core
				for i := 0; b.Loop(); i++ {
					if i%len(pods) == 0 {
						b.StopTimer()
						c = clusterOf(1, cluster)
						b.StartTimer()
					}
					p := c.Snapshot.Compile(pods[i%len(pods)])
					d, fe := c.Schedule(p)
					if fe != nil {
						b.Fatal(fe)
					}
					c.Snapshot.Assign(p, d.Node.Name)
				}
			})
		}
	}
}

// BenchmarkRun measures pods from their creation to their binding on the API in memory,
// watches, writes and all.
func BenchmarkRun(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	c := clienttest.New()
	for _, n := range manyNodes(1000, 10) {
		has("pods", "100000")(n)
		c.Add(n)
	}
	bound := make(chan struct{}, 1<<16)
	s := New(Options{Client: c, Events: counter{bound}, Seed: 1})
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for i := 0; b.Loop(); i++ {
		c.Add(pod(fmt.Sprintf("p-%d", i), ask("10m", "1Mi")))
		if i >= 1000 {
			<-bound
		}
	}
	cancel()
	<-done
}

// counter tells of each event.
type counter struct{ seen chan struct{} }

func (c counter) Record(string, api.Object, string, string, string, string)             { c.seen <- struct{}{} }
func (c counter) RecordFrom(string, string, api.Object, string, string, string, string) {}

// BenchmarkPreempt measures a pod that fits only where less important ones are.
func BenchmarkPreempt(b *testing.B) {
	var low []*corev1.Pod
	nodes := manyNodes(1000, 10)
	for i := range 8000 {
		low = append(low, pod(fmt.Sprintf("low-%d", i), ask("4", "1Gi"), on(nodes[i%1000].Name), priority(int32(i%3))))
	}
	c := clusterOf(1, nodes, low...)
	vip := pod("vip", ask("4", "1Gi"), priority(100))
	equal := pod("equal", ask("4", "1Gi"))
	for name, o := range map[string]*corev1.Pod{"victims": vip, "none": equal} {
		b.Run(name, func(b *testing.B) {
			p := c.Snapshot.Compile(o)
			for b.Loop() {
				_, fe := c.Schedule(p)
				c.Preempt(p, fe, nil, nil)
			}
		})
	}
}
