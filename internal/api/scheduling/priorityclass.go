package scheduling

import (
	schedulingv1 "k8s.io/api/scheduling/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// PriorityClass is all there is about PriorityClass objects on the server.
var PriorityClass = api.Kind[schedulingv1.PriorityClass]{
	Version: schedulingv1.SchemeGroupVersion, Resource: "priorityclasses", Short: []string{"pc"},
	CreateOnUpdate: true,
	List:           &schedulingv1.PriorityClassList{},
	Versions:       priorityClassVersions,
	// The generation is 1 for ever: nothing that counts may change.
	Spec:           func(*schedulingv1.PriorityClass) any { return nil },
	Default:        defaultPriorityClass,
	Validate:       validatePriorityClass,
	ValidateUpdate: validatePriorityClassUpdate,
	Columns: api.Columns[schedulingv1.PriorityClass]{
		api.NameColumn[schedulingv1.PriorityClass](),
		api.Number("Value", "value represents the integer value of this priority class.", func(o *schedulingv1.PriorityClass) any { return int64(o.Value) }),
		{ColumnHead: api.ColumnHead{Name: "Global-Default", Type: "boolean", Description: "globalDefault specifies whether this PriorityClass should be considered as the default priority for pods that do not have any priority class."}, Cell: func(o *schedulingv1.PriorityClass) any { return o.GlobalDefault }},
		api.AgeColumn[schedulingv1.PriorityClass](),
		api.Text("PreemptionPolicy", "preemptionPolicy is the Policy for preempting pods with lower priority.", func(o *schedulingv1.PriorityClass) any { return preemption(o) }),
	},
}
