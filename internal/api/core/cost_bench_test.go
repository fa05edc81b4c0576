package core

import (
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/internal/api"
)

// realPod is a pod of a deployment as kubectl get -o yaml prints it, of some 4 KB as protobuf.
func realPod(tb testing.TB) *corev1.Pod {
	data, err := os.ReadFile("testdata/pod.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	p := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(data, p); err != nil {
		tb.Fatal(err)
	}
	return p
}

func smallPod(testing.TB) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "busybox", Namespace: "default"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "busybox", Image: "busybox:1.37"}}}}
}

// sparePod leaves out what has a default, as a client does.
func sparePod(tb testing.TB) *corev1.Pod {
	p := realPod(tb)
	s := &p.Spec
	s.DNSPolicy, s.RestartPolicy, s.SchedulerName, s.SecurityContext, s.TerminationGracePeriodSeconds, s.EnableServiceLinks = "", "", "", nil, nil, nil
	for _, cs := range [][]corev1.Container{s.InitContainers, s.Containers} {
		for i := range cs {
			cs[i].TerminationMessagePath, cs[i].TerminationMessagePolicy, cs[i].ImagePullPolicy = "", "", ""
			if p := cs[i].LivenessProbe; p != nil {
				p.TimeoutSeconds, p.PeriodSeconds, p.SuccessThreshold, p.FailureThreshold = 0, 0, 0, 0
			}
		}
	}
	for i := range s.Volumes {
		if c := s.Volumes[i].ConfigMap; c != nil {
			c.DefaultMode = nil
		}
	}
	return p
}

func realService(testing.TB) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "storefront", Namespace: "shop", Labels: map[string]string{"app.kubernetes.io/name": "storefront"}},
		Spec: corev1.ServiceSpec{
			Selector:  map[string]string{"app.kubernetes.io/name": "storefront", "app.kubernetes.io/instance": "shop"},
			ClusterIP: "10.96.14.7", ClusterIPs: []string{"10.96.14.7"}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}, {Name: "metrics", Port: 9090, TargetPort: intstr.FromInt32(9090)}},
		},
	}
}

func realConfigMap(testing.TB) *corev1.ConfigMap {
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "storefront", Namespace: "shop"}, Data: map[string]string{}}
	for i := range 8 {
		m.Data[fmt.Sprintf("section-%d.yaml", i)] = strings.Repeat("setting: value\n", 8)
	}
	return m
}

func realNode(testing.TB) *corev1.Node {
	quantities := corev1.ResourceList{}
	for name, q := range map[corev1.ResourceName]string{"cpu": "8", "memory": "32825384Ki", "ephemeral-storage": "101430960Ki", "pods": "110", "hugepages-1Gi": "0", "hugepages-2Mi": "0", "nvidia.com/gpu": "2"} {
		quantities[name] = resource.MustParse(q)
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "worker-3", Labels: map[string]string{"kubernetes.io/hostname": "worker-3", "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "a"}},
		Spec:       corev1.NodeSpec{PodCIDR: "10.244.5.0/24", PodCIDRs: []string{"10.244.5.0/24"}, Taints: []corev1.Taint{{Key: "dedicated", Value: "web", Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{Capacity: quantities, Allocatable: quantities.DeepCopy(),
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.3.17"}, {Type: corev1.NodeHostName, Address: "worker-3"}}},
	}
}

// sink keeps the compiler from leaving out what is measured.
var sink field.ErrorList

func valid(b *testing.B, errs field.ErrorList) {
	if len(errs) > 0 {
		b.Fatal(errs.ToAggregate())
	}
	sink = errs
}

// benchCreate measures the defaults of a fresh object and its checks.
func benchCreate[T any, P interface {
	*T
	api.Object
}](b *testing.B, original P, fill func(*T), check func(*T) field.ErrorList) {
	b.Run("default", func(b *testing.B) {
		const batch = 512
		var fresh [batch]P
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%batch == 0 {
				b.StopTimer()
				for j := range fresh {
					fresh[j] = original.DeepCopyObject().(P)
				}
				b.StartTimer()
			}
			fill(fresh[i%batch])
		}
	})
	full := original.DeepCopyObject().(P)
	fill(full)
	b.Run("default again", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			fill(full)
		}
	})
	b.Run("validate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			valid(b, check(full))
		}
	})
}

func BenchmarkCreatePod(b *testing.B) {
	b.Logf("%d bytes as protobuf", realPod(b).Size())
	benchCreate(b, sparePod(b), defaultPod, validatePod)
}

func BenchmarkCreateSmallPod(b *testing.B) { benchCreate(b, smallPod(b), defaultPod, validatePod) }

func BenchmarkCreateService(b *testing.B) {
	benchCreate(b, realService(b), defaultService, validateService)
}

func BenchmarkCreateConfigMap(b *testing.B) {
	benchCreate(b, realConfigMap(b), defaultConfigMap, validateConfigMap)
}

func BenchmarkCreateNode(b *testing.B) { benchCreate(b, realNode(b), defaultNode, validateNode) }

func BenchmarkUpdatePod(b *testing.B) {
	old := realPod(b)
	defaultPod(old)
	same, image := old.DeepCopy(), old.DeepCopy()
	image.Spec.Containers[0].Image = "registry.example.com/shop/storefront:2.14.4"
	for name, next := range map[string]*corev1.Pod{"same": same, "image": image} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				valid(b, validatePodUpdate(next, old))
			}
		})
	}
	b.Run("status", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			valid(b, validatePodStatusUpdate(same, old))
		}
	})
	row := Pod.Row()
	b.Run("spec changed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if row.SpecChanged(same, old) {
				b.Fatal("nothing did")
			}
		}
	})
}

func BenchmarkUpdateOthers(b *testing.B) {
	b.Run("service", func(b *testing.B) {
		o := realService(b)
		defaultService(o)
		b.ReportAllocs()
		for b.Loop() {
			valid(b, validateServiceUpdate(o, o))
		}
	})
	b.Run("node", func(b *testing.B) {
		o := realNode(b)
		defaultNode(o)
		b.ReportAllocs()
		for b.Loop() {
			valid(b, validateNodeUpdate(o, o))
		}
	})
	b.Run("configmap", func(b *testing.B) {
		o := realConfigMap(b)
		b.ReportAllocs()
		for b.Loop() {
			valid(b, validateConfigMapUpdate(o, o))
		}
	})
}

// BenchmarkWarn is what every create pays for texts that nobody gets.
func BenchmarkWarnPod(b *testing.B) {
	p := realPod(b)
	b.ReportAllocs()
	for b.Loop() {
		if w := warnPod(p, nil); len(w) > 0 {
			b.Fatal(w)
		}
	}
}
