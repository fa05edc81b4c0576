package autoscaling

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/autoscaling/v2beta1"
)

// autoscaling/v2beta1 has all metrics, in the flat shape that is in the annotations of v1. It has
// no behavior: that goes into its annotation here as it does there.
var autoscalerV2beta1 = api.As[autoscalingv2.HorizontalPodAutoscaler, v2beta1.HorizontalPodAutoscaler]{
	Version: v2beta1.SchemeGroupVersion, List: &v2beta1.HorizontalPodAutoscalerList{},
	Read: readV2beta1, Show: showV2beta1,
}

func showV2beta1(from *autoscalingv2.HorizontalPodAutoscaler, to *v2beta1.HorizontalPodAutoscaler) error {
	s := &from.Status
	*to = v2beta1.HorizontalPodAutoscaler{ObjectMeta: from.ObjectMeta,
		Spec: v2beta1.HorizontalPodAutoscalerSpec{ScaleTargetRef: v2beta1.CrossVersionObjectReference(from.Spec.ScaleTargetRef), MinReplicas: from.Spec.MinReplicas, MaxReplicas: from.Spec.MaxReplicas},
		Status: v2beta1.HorizontalPodAutoscalerStatus{ObservedGeneration: s.ObservedGeneration, LastScaleTime: s.LastScaleTime,
			CurrentReplicas: s.CurrentReplicas, DesiredReplicas: s.DesiredReplicas}}
	for i := range from.Spec.Metrics {
		to.Spec.Metrics = append(to.Spec.Metrics, metricV1(&from.Spec.Metrics[i]))
	}
	for i := range s.CurrentMetrics {
		to.Status.CurrentMetrics = append(to.Status.CurrentMetrics, currentV1(&s.CurrentMetrics[i]))
	}
	for i := range s.Conditions {
		c := &s.Conditions[i]
		to.Status.Conditions = append(to.Status.Conditions, autoscalingv1.HorizontalPodAutoscalerCondition{Type: autoscalingv1.HorizontalPodAutoscalerConditionType(c.Type),
			Status: c.Status, LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message, ObservedGeneration: c.ObservedGeneration})
	}
	to.Annotations = withoutOurs(from.Annotations)
	if from.Spec.Behavior == nil {
		return nil
	}
	return annotate(&to.Annotations, annotationBehavior, behaviorOf(from.Spec.Behavior))
}

func readV2beta1(from *v2beta1.HorizontalPodAutoscaler, to *autoscalingv2.HorizontalPodAutoscaler) error {
	s := &from.Status
	*to = autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: from.ObjectMeta,
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference(from.Spec.ScaleTargetRef), MinReplicas: from.Spec.MinReplicas, MaxReplicas: from.Spec.MaxReplicas},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{ObservedGeneration: s.ObservedGeneration, LastScaleTime: s.LastScaleTime,
			CurrentReplicas: s.CurrentReplicas, DesiredReplicas: s.DesiredReplicas}}
	for i := range from.Spec.Metrics {
		to.Spec.Metrics = append(to.Spec.Metrics, metricV2(&from.Spec.Metrics[i]))
	}
	for i := range s.CurrentMetrics {
		to.Status.CurrentMetrics = append(to.Status.CurrentMetrics, currentV2(&s.CurrentMetrics[i]))
	}
	for i := range s.Conditions {
		c := &s.Conditions[i]
		to.Status.Conditions = append(to.Status.Conditions, autoscalingv2.HorizontalPodAutoscalerCondition{Type: autoscalingv2.HorizontalPodAutoscalerConditionType(c.Type),
			Status: c.Status, LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message, ObservedGeneration: c.ObservedGeneration})
	}
	// compat: an annotation that cannot be read is dropped in silence.
	if behavior, ok := kept[behaviorV1](from.Annotations, annotationBehavior); ok && behavior != (behaviorV1{}) {
		to.Spec.Behavior = behavior.v2()
	}
	to.Annotations = withoutOurs(from.Annotations)
	return nil
}
