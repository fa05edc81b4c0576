package scheduling

import (
	schedulingv1 "k8s.io/api/scheduling/v1"
	schedulingv1beta1 "k8s.io/api/scheduling/v1beta1"

	"github.com/skiff-k8s/skiff/internal/api"
)

var priorityClassVersions = api.Versions{api.As[schedulingv1.PriorityClass, schedulingv1beta1.PriorityClass]{
	Version: schedulingv1beta1.SchemeGroupVersion, List: &schedulingv1beta1.PriorityClassList{}}}
