package flowcontrol

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// PriorityLevelConfiguration is all there is about PriorityLevelConfiguration objects on the server.
var PriorityLevelConfiguration = api.Kind[flowcontrolv1.PriorityLevelConfiguration]{
	Version: flowcontrolv1.SchemeGroupVersion, Resource: "prioritylevelconfigurations",
	List:     &flowcontrolv1.PriorityLevelConfigurationList{},
	Versions: levelVersions,
	Status: api.StatusOf(func(o *flowcontrolv1.PriorityLevelConfiguration) *flowcontrolv1.PriorityLevelConfigurationStatus {
		return &o.Status
	}).WithValidate(validateLevelStatus).Only(),
	Spec:           func(o *flowcontrolv1.PriorityLevelConfiguration) any { return &o.Spec },
	Default:        defaultLevel,
	Validate:       validateLevel,
	ValidateUpdate: func(next, _ *flowcontrolv1.PriorityLevelConfiguration) field.ErrorList { return validateLevel(next) },
	Columns: api.Columns[flowcontrolv1.PriorityLevelConfiguration]{
		api.NameColumn[flowcontrolv1.PriorityLevelConfiguration](),
		api.Text("Type", "`type` indicates whether this priority level is subject to limitation on request execution.", func(o *flowcontrolv1.PriorityLevelConfiguration) any { return string(o.Spec.Type) }),
		api.Text("NominalConcurrencyShares", "`nominalConcurrencyShares` contributes to the computation of the nominal concurrency limit of this level.", func(o *flowcontrolv1.PriorityLevelConfiguration) any { return shares(o) }),
		api.Text("Queues", "`queues` is the number of queues for this priority level.", func(o *flowcontrolv1.PriorityLevelConfiguration) any {
			return levelNumber(o, func(q *flowcontrolv1.QueuingConfiguration) int32 { return q.Queues })
		}),
		api.Text("HandSize", "`handSize` is a small positive number that configures the shuffle sharding of requests into queues.", func(o *flowcontrolv1.PriorityLevelConfiguration) any {
			return levelNumber(o, func(q *flowcontrolv1.QueuingConfiguration) int32 { return q.HandSize })
		}),
		api.Text("QueueLengthLimit", "`queueLengthLimit` is the maximum number of requests allowed to be waiting in a given queue of this priority level at a time.", func(o *flowcontrolv1.PriorityLevelConfiguration) any {
			return levelNumber(o, func(q *flowcontrolv1.QueuingConfiguration) int32 { return q.QueueLengthLimit })
		}),
		api.AgeColumn[flowcontrolv1.PriorityLevelConfiguration](),
	},
}
