// Package v2beta2 has the types of autoscaling/v2beta2, which k8s.io/api no longer has. What autoscalers
// are told is as in autoscaling/v2, fields that were added since included, so that nothing is
// lost; what they tell has the JSON of its time. In protobuf there is no difference at all.
//
// The comments of the types are what the OpenAPI documents say of them (tools/openapi reads them).
package v2beta2

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// SchemeGroupVersion is what manifests name as apiVersion.
var SchemeGroupVersion = schema.GroupVersion{Group: autoscalingv2.GroupName, Version: "v2beta2"}

// HorizontalPodAutoscaler keeps the number of replicas of a resource that can be scaled where its metrics want it.
type HorizontalPodAutoscaler struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what is scaled, by which metrics and within which bounds.
	// +optional
	Spec autoscalingv2.HorizontalPodAutoscalerSpec `json:"spec,omitempty"`

	// status is what the autoscaler saw and did last.
	// +optional
	Status HorizontalPodAutoscalerStatus `json:"status,omitempty"`
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
	CurrentMetrics []autoscalingv2.MetricStatus `json:"currentMetrics"`

	// conditions say whether the autoscaler can do its work, and what limits it.
	// +optional
	// +listType=atomic
	Conditions []autoscalingv2.HorizontalPodAutoscalerCondition `json:"conditions"`
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
