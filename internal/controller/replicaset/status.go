package replicaset

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/skiff-k8s/skiff/internal/controller"
)

type status = appsv1.ReplicaSetStatus

// count is the status that the pods give, and when it changes by itself: a ready
// pod becomes available by waiting.
func (s *set) count(active []*corev1.Pod, terminating int, v controller.View) (status, time.Duration) {
	next := status{
		Replicas: int32(len(active)), ObservedGeneration: s.object.GetGeneration(),
		Conditions: slices.Clone(s.status.Conditions),
	}
	if _, ok := s.object.(*appsv1.ReplicaSet); ok {
		n := int32(terminating)
		next.TerminatingReplicas = &n
	}
	var wait time.Duration
	whole := labels.SelectorFromSet(s.template.Labels)
	for _, p := range active {
		if whole.Matches(labels.Set(p.Labels)) {
			next.FullyLabeledReplicas++
		}
		if !controller.PodReady(p) {
			continue
		}
		next.ReadyReplicas++
		ok, left := controller.PodAvailable(p, s.minReady, v.Now)
		switch {
		case ok:
			next.AvailableReplicas++
		case left > 0 && (wait == 0 || left < wait):
			wait = left
		}
	}
	return next, wait
}

func withoutFailure(s status) status {
	s.Conditions = slices.DeleteFunc(slices.Clone(s.Conditions), func(c appsv1.ReplicaSetCondition) bool {
		return c.Type == appsv1.ReplicaSetReplicaFailure
	})
	return s
}

// withFailure leaves a condition with the same reason as it is.
func withFailure(s status, reason, message string, now time.Time) status {
	for _, c := range s.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue && c.Reason == reason {
			return s
		}
	}
	s = withoutFailure(s)
	s.Conditions = append(s.Conditions, appsv1.ReplicaSetCondition{
		Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(now).Rfc3339Copy(), Reason: reason, Message: message,
	})
	return s
}
