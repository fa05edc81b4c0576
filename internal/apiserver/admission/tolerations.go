package admission

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// defaultTolerationSeconds lets a pod stay for 300 s on a node that went away,
// unless the pod says otherwise.
func defaultTolerationSeconds(_ context.Context, a *Attributes) error {
	pod := a.Object.(*corev1.Pod)
	notReady, unreachable := true, true
	for _, t := range pod.Spec.Tolerations {
		if t.Effect != "" && t.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		if t.Key == "" || t.Key == corev1.TaintNodeNotReady {
			notReady = false
		}
		if t.Key == "" || t.Key == corev1.TaintNodeUnreachable {
			unreachable = false
		}
	}
	add := func(key string) {
		seconds := int64(300)
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds})
	}
	if notReady {
		add(corev1.TaintNodeNotReady)
	}
	if unreachable {
		add(corev1.TaintNodeUnreachable)
	}
	return nil
}
