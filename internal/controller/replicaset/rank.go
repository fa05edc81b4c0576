package replicaset

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/controller"
)

// victims sorts the pods by who goes first; n is how many will.
func victims(pods []*corev1.Pod, onNode map[string]int, n int, now time.Time) []*corev1.Pod {
	sorted := slices.Clone(pods)
	if n < len(pods) {
		slices.SortFunc(sorted, func(a, b *corev1.Pod) int { return before(a, b, onNode, now) })
	}
	return sorted
}

// before orders pods: what is of least use, or was for the shortest time, goes first.
func before(a, b *corev1.Pod, onNode map[string]int, now time.Time) int {
	return cmp.Or(
		yesLast(a.Spec.NodeName != "", b.Spec.NodeName != ""),
		cmp.Compare(phase(a), phase(b)),
		yesLast(controller.PodReady(a), controller.PodReady(b)),
		cmp.Compare(cost(a), cost(b)),
		cmp.Compare(onNode[b.Spec.NodeName], onNode[a.Spec.NodeName]),
		newer(readySince(a), readySince(b), now),
		cmp.Compare(restarts(b), restarts(a)),
		newer(a.CreationTimestamp.Time, b.CreationTimestamp.Time, now),
		cmp.Compare(a.UID, b.UID),
	)
}

func yesLast(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func phase(p *corev1.Pod) int {
	switch p.Status.Phase {
	case corev1.PodRunning:
		return 2
	case corev1.PodUnknown:
		return 1
	}
	return 0
}

// cost is the price of deletion that the user set; without one, or with nonsense, none.
func cost(p *corev1.Pod) int64 {
	n, err := strconv.ParseInt(p.Annotations[corev1.PodDeletionCost], 10, 32)
	if err != nil {
		return 0
	}
	return n
}

func readySince(p *corev1.Pod) time.Time {
	if c := controller.PodCondition(p, corev1.PodReady); c != nil && c.Status == corev1.ConditionTrue {
		return c.LastTransitionTime.Time
	}
	return time.Time{}
}

// newer compares ages in powers of two: pods of about the same age are equals, so
// that which of them goes is a matter of their random UIDs and spreads over the failure domains.
func newer(a, b, now time.Time) int {
	switch {
	case a.Equal(b):
		return 0
	case a.IsZero():
		return -1
	case b.IsZero():
		return 1
	}
	return cmp.Compare(magnitude(now.Sub(a)), magnitude(now.Sub(b)))
}

func magnitude(d time.Duration) int64 {
	if d <= 0 {
		return -1
	}
	return int64(math.Log2(float64(d)))
}

func restarts(p *corev1.Pod) int32 {
	var most int32
	for _, c := range p.Status.ContainerStatuses {
		most = max(most, c.RestartCount)
	}
	for _, c := range p.Status.InitContainerStatuses {
		for _, spec := range p.Spec.InitContainers {
			if spec.Name == c.Name && spec.RestartPolicy != nil && *spec.RestartPolicy == corev1.ContainerRestartPolicyAlways {
				most = max(most, c.RestartCount)
			}
		}
	}
	return most
}
