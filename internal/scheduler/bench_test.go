package scheduler

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
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
