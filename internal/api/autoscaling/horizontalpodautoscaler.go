package autoscaling

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// HorizontalPodAutoscaler is all there is about HorizontalPodAutoscaler objects on the server.
var HorizontalPodAutoscaler = api.Kind[autoscalingv2.HorizontalPodAutoscaler]{
	Version: autoscalingv2.SchemeGroupVersion, Resource: "horizontalpodautoscalers", Short: []string{"hpa"}, Categories: []string{"all"}, Namespaced: true,
	Versions: api.Versions{autoscalerV1, autoscalerV2beta2, autoscalerV2beta1},
	List:     &autoscalingv2.HorizontalPodAutoscalerList{},
	Status: api.StatusOf(func(o *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscalerStatus {
		return &o.Status
	}).WithValidate(validateAutoscalerStatus),
	Default:        defaultAutoscaler,
	Validate:       func(o *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList { return validateAutoscaler(o, nil) },
	ValidateUpdate: validateAutoscaler,
	Columns: api.Columns[autoscalingv2.HorizontalPodAutoscaler]{
		api.NameColumn[autoscalingv2.HorizontalPodAutoscaler](),
		api.Text("Reference", "scaleTargetRef points to the target resource to scale.", func(o *autoscalingv2.HorizontalPodAutoscaler) any {
			return o.Spec.ScaleTargetRef.Kind + "/" + o.Spec.ScaleTargetRef.Name
		}),
		api.Text("Targets", "metrics contains the specifications for which to use to calculate the desired replica count.", func(o *autoscalingv2.HorizontalPodAutoscaler) any { return targetsText(o) }),
		api.Text("MinPods", "minReplicas is the lower limit for the number of replicas to which the autoscaler can scale down.", func(o *autoscalingv2.HorizontalPodAutoscaler) any { return minText(o) }),
		api.Text("MaxPods", "maxReplicas is the upper limit for the number of replicas to which the autoscaler can scale up.", func(o *autoscalingv2.HorizontalPodAutoscaler) any { return int64(o.Spec.MaxReplicas) }),
		api.Text("Replicas", "currentReplicas is current number of replicas of pods managed by this autoscaler.", func(o *autoscalingv2.HorizontalPodAutoscaler) any { return int64(o.Status.CurrentReplicas) }),
		api.AgeColumn[autoscalingv2.HorizontalPodAutoscaler](),
	},
}
