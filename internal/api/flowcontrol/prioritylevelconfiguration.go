package flowcontrol

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// PriorityLevelConfiguration is all there is about PriorityLevelConfiguration objects on the server.
var PriorityLevelConfiguration = api.Kind[flowcontrolv1.PriorityLevelConfiguration]{
	Version: flowcontrolv1.SchemeGroupVersion, Resource: "prioritylevelconfigurations",
	List: &flowcontrolv1.PriorityLevelConfigurationList{},
	Status: api.StatusOf(func(o *flowcontrolv1.PriorityLevelConfiguration) *flowcontrolv1.PriorityLevelConfigurationStatus {
		return &o.Status
	}),
	Spec: func(o *flowcontrolv1.PriorityLevelConfiguration) any { return &o.Spec },
}
