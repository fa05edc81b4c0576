package apps

import (
	"os"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// BenchmarkDeployment is of a deployment of the pod that core measures.
func BenchmarkDeployment(b *testing.B) {
	data, err := os.ReadFile("../core/testdata/pod.yaml")
	if err != nil {
		b.Fatal(err)
	}
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(data, pod); err != nil {
		b.Fatal(err)
	}
	pod.Spec.PriorityClassName, pod.Spec.Priority, pod.Spec.PreemptionPolicy = "", nil, nil
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "storefront", Namespace: "shop"}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "storefront"}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels, Annotations: pod.Annotations}, Spec: pod.Spec},
	}}
	defaultDeployment(d)
	if errs := validateDeployment(d); len(errs) > 0 {
		b.Fatal(errs)
	}
	old := d.DeepCopy()
	row := Deployment.Row()
	for _, step := range []struct {
		name string
		run  func() bool
	}{
		{"default again", func() bool { defaultDeployment(d); return true }},
		{"validate", func() bool { return len(validateDeployment(d)) == 0 }},
		{"update", func() bool { return len(validateDeploymentUpdate(d, old)) == 0 }},
		{"status", func() bool { return len(validateDeploymentStatus(d, old)) == 0 }},
		{"spec changed", func() bool { return !row.SpecChanged(d, old) }},
		{"warn", func() bool { return len(warnDeployment(d, nil)) == 0 }},
	} {
		b.Run(step.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !step.run() {
					b.Fatal("not what it was")
				}
			}
		})
	}
}
