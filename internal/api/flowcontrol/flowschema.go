package flowcontrol

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// FlowSchema is all there is about FlowSchema objects on the server.
var FlowSchema = api.Kind[flowcontrolv1.FlowSchema]{
	Version: flowcontrolv1.SchemeGroupVersion, Resource: "flowschemas",
	List:           &flowcontrolv1.FlowSchemaList{},
	Versions:       schemaVersions,
	Status:         api.StatusOf(func(o *flowcontrolv1.FlowSchema) *flowcontrolv1.FlowSchemaStatus { return &o.Status }).WithValidate(validateSchemaStatus).Only(),
	Spec:           func(o *flowcontrolv1.FlowSchema) any { return &o.Spec },
	Default:        defaultFlowSchema,
	Validate:       validateFlowSchema,
	ValidateUpdate: func(next, _ *flowcontrolv1.FlowSchema) field.ErrorList { return validateFlowSchema(next) },
	Columns: api.Columns[flowcontrolv1.FlowSchema]{
		api.NameColumn[flowcontrolv1.FlowSchema](),
		api.Text("PriorityLevel", "`priorityLevelConfiguration` should reference a PriorityLevelConfiguration in the cluster.", func(o *flowcontrolv1.FlowSchema) any { return o.Spec.PriorityLevelConfiguration.Name }),
		api.Text("MatchingPrecedence", "`matchingPrecedence` is used to choose among the FlowSchemas that match a given request.", func(o *flowcontrolv1.FlowSchema) any { return int64(o.Spec.MatchingPrecedence) }),
		api.Text("DistinguisherMethod", "`distinguisherMethod` defines how to compute the flow distinguisher for requests that match this schema.", func(o *flowcontrolv1.FlowSchema) any { return distinguisher(o) }),
		api.AgeColumn[flowcontrolv1.FlowSchema](),
		api.Text("MissingPL", "references a broken or non-existent PriorityLevelConfiguration", func(o *flowcontrolv1.FlowSchema) any { return missingLevel(o) }),
	},
}
