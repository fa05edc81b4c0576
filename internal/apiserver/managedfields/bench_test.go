package managedfields

import (
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func podOf(b *testing.B) *corev1.Pod {
	raw, err := os.ReadFile("testdata/pod.yaml")
	if err != nil {
		b.Fatal(err)
	}
	var pod corev1.Pod
	if err := yaml.Unmarshal(raw, &pod); err != nil {
		b.Fatal(err)
	}
	return &pod
}

func BenchmarkCreateConfigMap(b *testing.B) {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "b", Labels: map[string]string{"app": "x"}},
		Data: map[string]string{"a": "1", "b": "2"}}
	b.ReportAllocs()
	for b.Loop() {
		cm.ManagedFields = nil
		Update(cm, nil, Write{Manager: "m", APIVersion: "v1", Time: time.Unix(1, 0)})
	}
}

func BenchmarkCreatePod(b *testing.B) {
	pod := podOf(b)
	b.ReportAllocs()
	for b.Loop() {
		pod.ManagedFields = nil
		Update(pod, nil, Write{Manager: "m", APIVersion: "v1", Time: time.Unix(1, 0)})
	}
}

// BenchmarkPodStatus changes one condition of a running pod, as the kubelet does.
func BenchmarkPodStatus(b *testing.B) {
	old := podOf(b)
	status := old.Status
	old.Status = corev1.PodStatus{}
	Update(old, nil, Write{Manager: "kube-controller-manager", APIVersion: "v1", Time: time.Unix(1, 0)})
	running := old.DeepCopy()
	running.Status = status
	Update(running, old, Write{Manager: "kubelet", APIVersion: "v1", Subresource: "status", Time: time.Unix(2, 0)})
	next := running.DeepCopy()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		next.Status.Conditions[1].LastTransitionTime = metav1.Unix(int64(1000+i), 0)
		next.ManagedFields = nil
		Update(next, running, Write{Manager: "kubelet", APIVersion: "v1", Subresource: "status", Time: time.Unix(3, 0), Ignored: []string{"spec"}})
	}
}
