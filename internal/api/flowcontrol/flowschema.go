package flowcontrol

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// FlowSchema is all there is about FlowSchema objects on the server.
var FlowSchema = api.Kind[flowcontrolv1.FlowSchema]{
	Version: flowcontrolv1.SchemeGroupVersion, Resource: "flowschemas",
	List:   &flowcontrolv1.FlowSchemaList{},
	Status: api.StatusOf(func(o *flowcontrolv1.FlowSchema) *flowcontrolv1.FlowSchemaStatus { return &o.Status }),
	Spec:   func(o *flowcontrolv1.FlowSchema) any { return &o.Spec },
}
