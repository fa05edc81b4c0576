// Package v2beta1 has the types of autoscaling/v2beta1, which k8s.io/api no longer has. Its metrics are flat;
// k8s.io/api keeps types of that shape in autoscaling/v1, for what stands in annotations there,
// and they serve here too. In protobuf one number differs: see wire.go. What is scaled has a type of its own because
// that of autoscaling/v1 is one value to server-side apply, and was not here.
//
// The comments of the types are what the OpenAPI documents say of them (tools/openapi reads them).
package v2beta1

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// SchemeGroupVersion is what manifests name as apiVersion.
var SchemeGroupVersion = schema.GroupVersion{Group: autoscalingv1.GroupName, Version: "v2beta1"}

// HorizontalPodAutoscaler keeps the number of replicas of a resource that can be scaled where its metrics want it.
type HorizontalPodAutoscaler struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what is scaled, by which metrics and within which bounds.
	// +optional
	Spec HorizontalPodAutoscalerSpec `json:"spec,omitempty"`

	// status is what the autoscaler saw and did last.
	// +optional
	Status HorizontalPodAutoscalerStatus `json:"status,omitempty"`
}

// HorizontalPodAutoscalerSpec says what is scaled, by which metrics and within which bounds.
type HorizontalPodAutoscalerSpec struct {
	// scaleTargetRef is the resource that is scaled. Its pods are those whose metrics are read.
	ScaleTargetRef CrossVersionObjectReference `json:"scaleTargetRef"`

	// minReplicas is the least number of replicas. It defaults to 1.
	// +optional
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the greatest number of replicas. It cannot be less than minReplicas.
	MaxReplicas int32 `json:"maxReplicas"`

	// metrics are what the number of replicas is computed from: it is multiplied by the ratio of what is measured
	// to what is wanted. Of the numbers that several metrics lead to, the greatest counts.
	// Without any metric, 80% of the CPU that the pods request is wanted.
	// +optional
	// +listType=atomic
	Metrics []autoscalingv1.MetricSpec `json:"metrics,omitempty"`
}

// CrossVersionObjectReference names a resource.
type CrossVersionObjectReference struct {
	// kind is the kind of the resource. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds
	Kind string `json:"kind"`

	// name is the name of the resource. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#names
	Name string `json:"name"`

	// apiVersion is the API version of the resource.
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`
}

// HorizontalPodAutoscalerStatus is what an autoscaler saw and did last.
type HorizontalPodAutoscalerStatus struct {
	// observedGeneration is the newest generation of the autoscaler that was acted upon.
	// +optional
	ObservedGeneration *int64 `json:"observedGeneration,omitempty"`

	// lastScaleTime is when the number of replicas was last changed.
	// +optional
	LastScaleTime *metav1.Time `json:"lastScaleTime,omitempty"`

	// currentReplicas is the number of pods that were seen last.
	CurrentReplicas int32 `json:"currentReplicas"`

	// desiredReplicas is the number of pods that there should be, as it was last computed.
	DesiredReplicas int32 `json:"desiredReplicas"`

	// currentMetrics are the metrics as they were read last.
	// +optional
	// +listType=atomic
	CurrentMetrics []autoscalingv1.MetricStatus `json:"currentMetrics"`

	// conditions say whether the autoscaler can do its work, and what limits it.
	// +optional
	// +listType=atomic
	Conditions []autoscalingv1.HorizontalPodAutoscalerCondition `json:"conditions"`
}

// HorizontalPodAutoscalerList is a list of autoscalers.
type HorizontalPodAutoscalerList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the autoscalers.
	Items []HorizontalPodAutoscaler `json:"items"`
}
