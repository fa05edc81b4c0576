package scheduling

import (
	schedulingv1 "k8s.io/api/scheduling/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// PriorityClass is all there is about PriorityClass objects on the server.
var PriorityClass = api.Kind[schedulingv1.PriorityClass]{
	Version: schedulingv1.SchemeGroupVersion, Resource: "priorityclasses", Short: []string{"pc"},
	List: &schedulingv1.PriorityClassList{},
	Spec: func(o *schedulingv1.PriorityClass) any { return &o.Value },
}
