package autoscaling

import (
	"encoding/json"
	"maps"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// autoscaling/v1 knows one metric, the CPU's utilization. What else there is goes
// into annotations, so that reading an object in v1 and writing it back loses nothing.
const (
	annotationMetrics    = "autoscaling.alpha.kubernetes.io/metrics"
	annotationCurrent    = "autoscaling.alpha.kubernetes.io/current-metrics"
	annotationConditions = "autoscaling.alpha.kubernetes.io/conditions"
	annotationBehavior   = "autoscaling.alpha.kubernetes.io/behavior"
)

var autoscalerV1 = api.As[autoscalingv2.HorizontalPodAutoscaler, autoscalingv1.HorizontalPodAutoscaler]{
	Version: autoscalingv1.SchemeGroupVersion, List: &autoscalingv1.HorizontalPodAutoscalerList{},
	Read: readV1, Show: showV1,
}

func isCPU(m *autoscalingv2.MetricSpec) bool {
	return m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil && m.Resource.Name == corev1.ResourceCPU &&
		m.Resource.Target.Type == autoscalingv2.UtilizationMetricType && m.Resource.Target.AverageUtilization != nil
}

func showV1(from *autoscalingv2.HorizontalPodAutoscaler, to *autoscalingv1.HorizontalPodAutoscaler) error {
	*to = autoscalingv1.HorizontalPodAutoscaler{ObjectMeta: from.ObjectMeta,
		Spec: autoscalingv1.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv1.CrossVersionObjectReference(from.Spec.ScaleTargetRef), MinReplicas: from.Spec.MinReplicas, MaxReplicas: from.Spec.MaxReplicas},
		Status: autoscalingv1.HorizontalPodAutoscalerStatus{ObservedGeneration: from.Status.ObservedGeneration, LastScaleTime: from.Status.LastScaleTime,
			CurrentReplicas: from.Status.CurrentReplicas, DesiredReplicas: from.Status.DesiredReplicas}}
	annotations := withoutOurs(from.Annotations)
	var others []autoscalingv1.MetricSpec
	for i := range from.Spec.Metrics {
		m := &from.Spec.Metrics[i]
		if isCPU(m) && to.Spec.TargetCPUUtilizationPercentage == nil {
			to.Spec.TargetCPUUtilizationPercentage = m.Resource.Target.AverageUtilization
			continue
		}
		others = append(others, metricV1(m))
	}
	// What is known of the CPU is there twice, because the annotation has its amount too.
	var current []autoscalingv1.MetricStatus
	for i := range from.Status.CurrentMetrics {
		m := &from.Status.CurrentMetrics[i]
		if m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil && m.Resource.Name == corev1.ResourceCPU && m.Resource.Current.AverageUtilization != nil {
			to.Status.CurrentCPUUtilizationPercentage = m.Resource.Current.AverageUtilization
		}
		current = append(current, currentV1(m))
	}
	for name, v := range map[string]any{annotationMetrics: others, annotationCurrent: current, annotationConditions: from.Status.Conditions} {
		if err := annotate(&annotations, name, v); err != nil {
			return err
		}
	}
	if from.Spec.Behavior != nil {
		if err := annotate(&annotations, annotationBehavior, behaviorOf(from.Spec.Behavior)); err != nil {
			return err
		}
	}
	to.Annotations = annotations
	return nil
}

func withoutOurs(have map[string]string) map[string]string {
	out := maps.Clone(have)
	for _, name := range []string{annotationMetrics, annotationCurrent, annotationConditions, annotationBehavior} {
		delete(out, name)
	}
	return out
}

func annotate(to *map[string]string, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil || string(b) == "null" {
		return err
	}
	if *to == nil {
		*to = map[string]string{}
	}
	(*to)[name] = string(b)
	return nil
}

func readV1(from *autoscalingv1.HorizontalPodAutoscaler, to *autoscalingv2.HorizontalPodAutoscaler) error {
	*to = autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: from.ObjectMeta,
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference(from.Spec.ScaleTargetRef), MinReplicas: from.Spec.MinReplicas, MaxReplicas: from.Spec.MaxReplicas},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{ObservedGeneration: from.Status.ObservedGeneration, LastScaleTime: from.Status.LastScaleTime,
			CurrentReplicas: from.Status.CurrentReplicas, DesiredReplicas: from.Status.DesiredReplicas}}
	// compat: annotations that cannot be read are dropped in silence.
	others, _ := kept[[]autoscalingv1.MetricSpec](from.Annotations, annotationMetrics)
	for i := range others {
		to.Spec.Metrics = append(to.Spec.Metrics, metricV2(&others[i]))
	}
	current, _ := kept[[]autoscalingv1.MetricStatus](from.Annotations, annotationCurrent)
	for i := range current {
		to.Status.CurrentMetrics = append(to.Status.CurrentMetrics, currentV2(&current[i]))
	}
	to.Status.Conditions, _ = kept[[]autoscalingv2.HorizontalPodAutoscalerCondition](from.Annotations, annotationConditions)
	if behavior, ok := kept[behaviorV1](from.Annotations, annotationBehavior); ok && behavior != (behaviorV1{}) {
		to.Spec.Behavior = behavior.v2()
	}
	if cpu := from.Spec.TargetCPUUtilizationPercentage; cpu != nil {
		to.Spec.Metrics = append([]autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
			Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: cpu}}}}, to.Spec.Metrics...)
	}
	if cpu := from.Status.CurrentCPUUtilizationPercentage; cpu != nil && len(current) == 0 {
		to.Status.CurrentMetrics = append([]autoscalingv2.MetricStatus{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricStatus{
			Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: cpu}}}}, to.Status.CurrentMetrics...)
	}
	to.Annotations = withoutOurs(from.Annotations)
	return nil
}

// kept reads what an annotation keeps: all of it or nothing.
func kept[V any](annotations map[string]string, name string) (v V, ok bool) {
	text, ok := annotations[name]
	if ok && json.Unmarshal([]byte(text), &v) == nil {
		return v, true
	}
	var nothing V
	return nothing, false
}
