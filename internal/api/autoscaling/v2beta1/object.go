package v2beta1

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func (o *HorizontalPodAutoscaler) DeepCopyObject() runtime.Object {
	out := new(HorizontalPodAutoscaler)
	o.deepCopyInto(out)
	return out
}

func (o *HorizontalPodAutoscaler) deepCopyInto(out *HorizontalPodAutoscaler) {
	*out = *o
	o.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec.MinReplicas = copied(o.Spec.MinReplicas)
	out.Spec.Metrics = copies(o.Spec.Metrics, (*autoscalingv1.MetricSpec).DeepCopyInto)
	out.Status.ObservedGeneration = copied(o.Status.ObservedGeneration)
	out.Status.LastScaleTime = o.Status.LastScaleTime.DeepCopy()
	out.Status.CurrentMetrics = copies(o.Status.CurrentMetrics, (*autoscalingv1.MetricStatus).DeepCopyInto)
	out.Status.Conditions = copies(o.Status.Conditions, (*autoscalingv1.HorizontalPodAutoscalerCondition).DeepCopyInto)
}

func (l *HorizontalPodAutoscalerList) DeepCopyObject() runtime.Object {
	out := &HorizontalPodAutoscalerList{TypeMeta: l.TypeMeta}
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = copies(l.Items, (*HorizontalPodAutoscaler).deepCopyInto)
	return out
}

func copied[V any](p *V) *V {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

func copies[V any](list []V, into func(from, to *V)) []V {
	if list == nil {
		return nil
	}
	out := make([]V, len(list))
	for i := range list {
		into(&list[i], &out[i])
	}
	return out
}

func (HorizontalPodAutoscaler) OpenAPIModelName() string {
	return "io.k8s.api.autoscaling.v2beta1.HorizontalPodAutoscaler"
}

func (CrossVersionObjectReference) OpenAPIModelName() string {
	return "io.k8s.api.autoscaling.v2beta1.CrossVersionObjectReference"
}

func (HorizontalPodAutoscalerSpec) OpenAPIModelName() string {
	return "io.k8s.api.autoscaling.v2beta1.HorizontalPodAutoscalerSpec"
}

func (HorizontalPodAutoscalerStatus) OpenAPIModelName() string {
	return "io.k8s.api.autoscaling.v2beta1.HorizontalPodAutoscalerStatus"
}

func (HorizontalPodAutoscalerList) OpenAPIModelName() string {
	return "io.k8s.api.autoscaling.v2beta1.HorizontalPodAutoscalerList"
}

// The life of the version: the release that brought it, the one that warned, and the one that had it no more.
func (*HorizontalPodAutoscaler) APILifecycleIntroduced() (major, minor int) { return 1, 8 }
func (*HorizontalPodAutoscaler) APILifecycleDeprecated() (major, minor int) { return 1, 22 }
func (*HorizontalPodAutoscaler) APILifecycleRemoved() (major, minor int)    { return 1, 25 }
func (*HorizontalPodAutoscaler) APILifecycleReplacement() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: autoscalingv1.GroupName, Version: "v2", Kind: "HorizontalPodAutoscaler"}
}
