package apiserver

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

// usualPod is some 4 KB of JSON.
func usualPod(name string) *corev1.Pod {
	probe := func() *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}}, PeriodSeconds: 10}
	}
	c := corev1.Container{Name: "service", Image: "registry.example.com/team/service:v1.27.3", LivenessProbe: probe(), ReadinessProbe: probe(),
		Args:  []string{"--listen=:8080", "--log-format=json", "--config=/etc/service/config.yaml"},
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}, {Name: "metrics", ContainerPort: 9090}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")},
			Limits:   corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("256Mi")}}}
	for i := range 12 {
		c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", i), Value: "some value of usual length"})
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: map[string]string{"app": "service", "team": "platform", "pod-template-hash": "7c6d5f8b9"}, Annotations: map[string]string{"example.com/checksum": strings.Repeat("a1", 32)}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{c},
			Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}},
	}
}

// heap is what is reachable.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // weak pointers of the first are gone in the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkPodMemory tells what a pod costs that nobody holds: live heap, not allocations.
func BenchmarkPodMemory(b *testing.B) {
	s, create := podServer(b)
	n, before := 0, heap()
	for b.Loop() {
		create(n)
		n++
	}
	b.ReportMetric(float64(heap()-before)/float64(n), "heapB/pod")
	stored := 0
	for _, e := range s.cache(all.For[*corev1.Pod]()).byKey {
		stored += len(e.value)
	}
	b.ReportMetric(float64(stored)/float64(n), "storedB/pod")
	runtime.KeepAlive(s)
}

// TestPodMemory is the budget: a pod that nobody looks at is its stored bytes and little more,
// also after somebody listed them all.
func TestPodMemory(t *testing.T) {
	const pods, most = 3000, 7500
	s, create := podServer(t)
	before := heap()
	for i := range pods {
		create(i)
	}
	if n, _, err := s.Client(auth.System).List(t.Context(), all.For[*corev1.Pod](), "default", client.Selector{}); err != nil || len(n) != pods {
		t.Fatal(len(n), err)
	}
	if each := (int64(heap()) - int64(before)) / pods; each > most {
		t.Errorf("a pod costs %d bytes of heap, want %d at most", each, most)
	}
	runtime.KeepAlive(s)
}

func podServer(t testing.TB) (s *Server, create func(int)) {
	s, _ = serverOn(t, mem.New())
	c := s.Client(auth.System)
	if _, err := client.Create(t.Context(), c, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: "default"}}); err != nil {
		t.Fatal(err)
	}
	return s, func(i int) {
		if _, err := client.Create(t.Context(), c, usualPod(fmt.Sprintf("p-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
}

// Objects that are held are the same for everybody; others are made again, and equal.
func TestDecodedObjects(t *testing.T) {
	s, create := podServer(t)
	create(0)
	e := s.cache(all.For[*corev1.Pod]()).get("/registry/pods/default/p-0")
	held := e.object().(*corev1.Pod)
	for i := range 400 {
		create(i + 1) // so many that nothing else keeps it
	}
	heap()
	if e.object().(*corev1.Pod) != held {
		t.Error("an object that is held was made again")
	}
	was := held.DeepCopy()
	held = nil
	for end := time.Now().Add(time.Minute); e.alive() != nil; runtime.GC() {
		if time.Now().After(end) {
			t.Fatal("an object that nobody holds is still there")
		}
	}
	if again := e.object(); !equality.Semantic.DeepEqual(again, was) || again.GetResourceVersion() != was.ResourceVersion {
		t.Errorf("made again it is another:\n%v\n%v", again, was)
	}
}
