package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func isHugePage(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// preparePod gives a new pod its first status. The status has been reset before.
func preparePod(p *corev1.Pod) {
	defaultPod(p)
	p.Status.Phase = corev1.PodPending
	p.Status.QOSClass = qosClass(&p.Spec)
	if len(p.Spec.SchedulingGates) > 0 {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonSchedulingGated,
			LastTransitionTime: p.CreationTimestamp, Message: "Scheduling is blocked due to non-empty scheduling gates",
		})
	}
	mergeMatchLabelKeys(p)
	carryAppArmor(p)
}

// qosClass is Guaranteed when every container has limits for CPU and memory that
// equal its requests, BestEffort when none asks for anything, Burstable otherwise.
// Resources for the whole pod, where given, stand for those of its containers.
func qosClass(s *corev1.PodSpec) corev1.PodQOSClass {
	if r := s.Resources; r != nil && (hasComputeResource(r.Requests) || hasComputeResource(r.Limits)) {
		if guaranteed(r) {
			return corev1.PodQOSGuaranteed
		}
		return corev1.PodQOSBurstable
	}
	all, some := true, false
	for _, cs := range [][]corev1.Container{s.Containers, s.InitContainers} {
		for i := range cs {
			r := &cs[i].Resources
			some = some || hasComputeResource(r.Requests) || hasComputeResource(r.Limits)
			all = all && guaranteed(r)
		}
	}
	switch {
	case !some:
		return corev1.PodQOSBestEffort
	case all:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}

func hasComputeResource(l corev1.ResourceList) bool {
	cpu, mem := l[corev1.ResourceCPU], l[corev1.ResourceMemory]
	return cpu.Sign() > 0 || mem.Sign() > 0
}

func guaranteed(r *corev1.ResourceRequirements) bool {
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		limit, request := r.Limits[name], r.Requests[name]
		if limit.Sign() <= 0 || limit.Cmp(request) != 0 {
			return false
		}
	}
	return true
}

// mergeMatchLabelKeys adds to the selectors of affinity terms and spread
// constraints what their matchLabelKeys take from the pod's own labels.
func mergeMatchLabelKeys(p *corev1.Pod) {
	if a := p.Spec.Affinity; a != nil {
		if a.PodAffinity != nil {
			mergeAffinityKeys(p.Labels, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
		}
		if a.PodAntiAffinity != nil {
			mergeAffinityKeys(p.Labels, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
		}
	}
	for i := range p.Spec.TopologySpreadConstraints {
		c := &p.Spec.TopologySpreadConstraints[i]
		addTaken(c.LabelSelector, taken(p.Labels, c.MatchLabelKeys, metav1.LabelSelectorOpIn))
	}
}

func mergeAffinityKeys(labels map[string]string, required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
	merge := func(t *corev1.PodAffinityTerm) {
		addTaken(t.LabelSelector, append(taken(labels, t.MatchLabelKeys, metav1.LabelSelectorOpIn), taken(labels, t.MismatchLabelKeys, metav1.LabelSelectorOpNotIn)...))
	}
	for i := range required {
		merge(&required[i])
	}
	for i := range preferred {
		merge(&preferred[i].PodAffinityTerm)
	}
}

// taken is what keys ask for by the values of the labels.
func taken(labels map[string]string, keys []string, op metav1.LabelSelectorOperator) []metav1.LabelSelectorRequirement {
	var out []metav1.LabelSelectorRequirement
	for _, k := range keys {
		if v, ok := labels[k]; ok {
			out = append(out, metav1.LabelSelectorRequirement{Key: k, Operator: op, Values: []string{v}})
		}
	}
	return out
}

// addTaken puts requirements behind those of a selector, where they are not from an earlier turn already.
func addTaken(s *metav1.LabelSelector, rs []metav1.LabelSelectorRequirement) {
	if s == nil || len(rs) == 0 {
		return
	}
	if n := len(s.MatchExpressions) - len(rs); n >= 0 && equality.Semantic.DeepEqual(s.MatchExpressions[n:], rs) {
		return
	}
	s.MatchExpressions = append(s.MatchExpressions, rs...)
}
