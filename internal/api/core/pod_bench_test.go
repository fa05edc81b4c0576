package core

import (
	"encoding/json"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// typicalPod is a pod of about 4 KB in JSON once it has its defaults.
func typicalPod() *corev1.Pod {
	probe := func(path string) *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http")}}}
	}
	seconds := int64(300)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-6d4cf56db6-x7k2p", Namespace: "shop", Labels: map[string]string{
		"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "shop", "pod-template-hash": "6d4cf56db6"}}}
	for i := range 3 {
		c := corev1.Container{
			Name: fmt.Sprintf("container-%d", i), Image: "registry.example.com/shop/web:1.2.3",
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: int32(8080 + i)}},
			Resources: corev1.ResourceRequirements{
				Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("256Mi")},
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")},
			},
			LivenessProbe: probe("/healthz"), ReadinessProbe: probe("/ready"),
			VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/web"}, {Name: "cache", MountPath: "/cache"}, {Name: "token", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true}},
		}
		for j := range 4 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", j), Value: "some value"})
		}
		c.Env = append(c.Env, corev1.EnvVar{Name: "NODE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}})
		p.Spec.Containers = append(p.Spec.Containers, c)
	}
	p.Spec.Volumes = []corev1.Volume{
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "web"}}}},
		{Name: "cache"},
		{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}}}},
		}}}},
	}
	p.Spec.ServiceAccountName = "web"
	p.Spec.NodeSelector = map[string]string{"kubernetes.io/os": "linux"}
	p.Spec.Tolerations = []corev1.Toleration{
		{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds},
		{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds},
	}
	return p
}

func BenchmarkPodDefaultAndValidate(b *testing.B) {
	original := typicalPod()
	defaulted := original.DeepCopy()
	defaultPod(defaulted)
	if errs := validatePod(defaulted); len(errs) > 0 {
		b.Fatal(errs)
	}
	data, _ := json.Marshal(defaulted)
	// Fresh copies are made outside of what is measured, many at a time.
	const batch = 512
	pods := make([]*corev1.Pod, batch)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%batch == 0 {
			b.StopTimer()
			for j := range pods {
				pods[j] = original.DeepCopy()
			}
			b.StartTimer()
		}
		p := pods[i%batch]
		defaultPod(p)
		if errs := validatePod(p); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
	b.ReportMetric(float64(len(data)), "bytes/pod")
}

func BenchmarkPodSummary(b *testing.B) {
	p := typicalPod()
	for b.Loop() {
		summarize(p)
	}
}
