package autoscaling

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/autoscaling/v2beta2"
)

// autoscaling/v2beta2 says what v2 says.
var autoscalerV2beta2 = api.As[autoscalingv2.HorizontalPodAutoscaler, v2beta2.HorizontalPodAutoscaler]{
	Version: v2beta2.SchemeGroupVersion, List: &v2beta2.HorizontalPodAutoscalerList{},
	Read: func(from *v2beta2.HorizontalPodAutoscaler, to *autoscalingv2.HorizontalPodAutoscaler) error {
		*to = *from.V2()
		to.Annotations = withoutOurs(from.Annotations)
		return nil
	},
	Show: func(from *autoscalingv2.HorizontalPodAutoscaler, to *v2beta2.HorizontalPodAutoscaler) error {
		to.SetV2(from)
		to.Annotations = withoutOurs(from.Annotations)
		return nil
	},
}
