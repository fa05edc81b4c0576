package autoscaling

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/skiff-k8s/skiff/internal/api"
)

// HorizontalPodAutoscaler is all there is about HorizontalPodAutoscaler objects on the server.
var HorizontalPodAutoscaler = api.Kind[autoscalingv2.HorizontalPodAutoscaler]{
	Version: autoscalingv2.SchemeGroupVersion, Resource: "horizontalpodautoscalers", Short: []string{"hpa"}, Categories: []string{"all"}, Namespaced: true,
	List: &autoscalingv2.HorizontalPodAutoscalerList{},
	Status: api.StatusOf(func(o *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscalerStatus {
		return &o.Status
	}),
}
