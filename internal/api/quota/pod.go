package quota

import (
	"errors"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
)

// computeNames are what pods count for besides huge pages, extended resources and count/pods.
var computeNames = []corev1.ResourceName{
	corev1.ResourcePods, corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage,
	corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage,
	corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
}

const (
	requests = corev1.DefaultResourceRequestsPrefix // "requests."
	limits   = "limits."
)

func podTracks(name corev1.ResourceName) bool {
	s := string(name)
	return slices.Contains(computeNames, name) || strings.HasPrefix(s, corev1.ResourceHugePagesPrefix) ||
		strings.HasPrefix(s, requests+corev1.ResourceHugePagesPrefix) || extendedRequest(s)
}

// extendedRequest tells "requests.example.com/gpu".
func extendedRequest(s string) bool {
	rest, ok := strings.CutPrefix(s, requests)
	return ok && extended(rest)
}

func extended(s string) bool {
	return strings.Contains(s, "/") && !strings.Contains(s, corev1.ResourceDefaultNamespacePrefix) && !strings.HasPrefix(s, requests)
}

// podUsage: a pod that has ended, or should have by now, counts only as an object.
func podUsage(p *corev1.Pod, now time.Time, out corev1.ResourceList) {
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return
	}
	if p.DeletionTimestamp != nil && p.DeletionGracePeriodSeconds != nil && now.After(p.DeletionTimestamp.Add(time.Duration(*p.DeletionGracePeriodSeconds)*time.Second)) {
		return
	}
	o := resourcehelper.PodResourcesOptions{UseStatusResources: true}
	out[corev1.ResourcePods] = one()
	compute(resourcehelper.PodRequests(p, o), resourcehelper.PodLimits(p, o), out)
}

// Expires is when a pod that is being deleted stops counting, whether it is gone or not; zero: never.
func Expires(p *corev1.Pod) time.Time {
	if p.DeletionTimestamp == nil || p.DeletionGracePeriodSeconds == nil {
		return time.Time{}
	}
	return p.DeletionTimestamp.Add(time.Duration(*p.DeletionGracePeriodSeconds)*time.Second + time.Second)
}

func compute(req, lim, out corev1.ResourceList) {
	for _, n := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if q, ok := req[n]; ok {
			out[n], out[requests+n] = q.DeepCopy(), q.DeepCopy()
		}
		if q, ok := lim[n]; ok {
			out[limits+n] = q.DeepCopy()
		}
	}
	for n, q := range req {
		switch s := string(n); {
		case strings.HasPrefix(s, corev1.ResourceHugePagesPrefix):
			out[n], out[requests+n] = q.DeepCopy(), q.DeepCopy()
		case extended(s):
			out[requests+n] = q.DeepCopy()
		}
	}
}

// mustSpecify are the names that, when a quota limits them, every container has to set.
var mustSpecify = []corev1.ResourceName{
	corev1.ResourceCPU, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceMemory, corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory,
}

// podMust refuses a pod whose containers leave out what the quota counts.
func podMust(q *corev1.ResourceQuota, p *corev1.Pod) error {
	var parts []string
	whole := corev1.ResourceList{}
	if r := p.Spec.Resources; r != nil {
		compute(r.Requests, r.Limits, whole)
	}
	for _, name := range mustSpecify {
		if _, ok := q.Spec.Hard[name]; !ok {
			continue
		}
		if _, ok := whole[name]; ok {
			continue
		}
		var missing []string
		for _, cs := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
			for i := range cs {
				has := corev1.ResourceList{}
				compute(cs[i].Resources.Requests, cs[i].Resources.Limits, has)
				if _, ok := has[name]; !ok {
					missing = append(missing, cs[i].Name)
				}
			}
		}
		if len(missing) > 0 {
			slices.Sort(missing)
			parts = append(parts, string(name)+" for: "+strings.Join(slices.Compact(missing), ","))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return errors.New("must specify " + strings.Join(parts, "; "))
}
