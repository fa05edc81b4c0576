package v2beta2

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// V2 is the same autoscaler as autoscaling/v2 has it; the two share what they point to.
func (o *HorizontalPodAutoscaler) V2() *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{TypeMeta: o.TypeMeta, ObjectMeta: o.ObjectMeta, Spec: o.Spec, Status: autoscalingv2.HorizontalPodAutoscalerStatus(o.Status)}
}

// SetV2 makes the autoscaler what one of autoscaling/v2 is; the two share what they point to.
func (o *HorizontalPodAutoscaler) SetV2(from *autoscalingv2.HorizontalPodAutoscaler) {
	*o = HorizontalPodAutoscaler{TypeMeta: from.TypeMeta, ObjectMeta: from.ObjectMeta, Spec: from.Spec, Status: HorizontalPodAutoscalerStatus(from.Status)}
}

func (o *HorizontalPodAutoscaler) DeepCopyObject() runtime.Object {
	out := &HorizontalPodAutoscaler{}
	out.SetV2(o.V2().DeepCopy())
	return out
}

func (o *HorizontalPodAutoscaler) Size() int { return o.V2().Size() }
func (o *HorizontalPodAutoscaler) MarshalToSizedBuffer(b []byte) (int, error) {
	return o.V2().MarshalToSizedBuffer(b)
}

func (o *HorizontalPodAutoscaler) Unmarshal(b []byte) error {
	v := o.V2()
	err := v.Unmarshal(b)
	o.SetV2(v)
	return err
}

func (l *HorizontalPodAutoscalerList) v2() *autoscalingv2.HorizontalPodAutoscalerList {
	out := &autoscalingv2.HorizontalPodAutoscalerList{TypeMeta: l.TypeMeta, ListMeta: l.ListMeta}
	if l.Items != nil {
		out.Items = make([]autoscalingv2.HorizontalPodAutoscaler, len(l.Items))
	}
	for i := range l.Items {
		out.Items[i] = *l.Items[i].V2()
	}
	return out
}

func (l *HorizontalPodAutoscalerList) setV2(from *autoscalingv2.HorizontalPodAutoscalerList) {
	*l = HorizontalPodAutoscalerList{TypeMeta: from.TypeMeta, ListMeta: from.ListMeta}
	if from.Items != nil {
		l.Items = make([]HorizontalPodAutoscaler, len(from.Items))
	}
	for i := range from.Items {
		l.Items[i].SetV2(&from.Items[i])
	}
}

func (l *HorizontalPodAutoscalerList) DeepCopyObject() runtime.Object {
	out := &HorizontalPodAutoscalerList{}
	out.setV2(l.v2().DeepCopy())
	return out
}

func (l *HorizontalPodAutoscalerList) Size() int { return l.v2().Size() }
func (l *HorizontalPodAutoscalerList) MarshalToSizedBuffer(b []byte) (int, error) {
	return l.v2().MarshalToSizedBuffer(b)
}

func (l *HorizontalPodAutoscalerList) Unmarshal(b []byte) error {
	v := l.v2()
	err := v.Unmarshal(b)
	l.setV2(v)
	return err
}

func (HorizontalPodAutoscaler) OpenAPIModelName() string {
	return "io.k8s.api.autoscaling.v2beta2.HorizontalPodAutoscaler"
}

func (HorizontalPodAutoscalerStatus) OpenAPIModelName() string {
	return "io.k8s.api.autoscaling.v2beta2.HorizontalPodAutoscalerStatus"
}

func (HorizontalPodAutoscalerList) OpenAPIModelName() string {
	return "io.k8s.api.autoscaling.v2beta2.HorizontalPodAutoscalerList"
}

// The life of the version: the release that brought it, the one that warned, and the one that had it no more.
func (*HorizontalPodAutoscaler) APILifecycleIntroduced() (major, minor int) { return 1, 12 }
func (*HorizontalPodAutoscaler) APILifecycleDeprecated() (major, minor int) { return 1, 23 }
func (*HorizontalPodAutoscaler) APILifecycleRemoved() (major, minor int)    { return 1, 26 }
func (*HorizontalPodAutoscaler) APILifecycleReplacement() schema.GroupVersionKind {
	return autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler")
}
