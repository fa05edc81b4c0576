package resource

import (
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// DeviceTaintRule is all there is about DeviceTaintRule objects on the server.
var DeviceTaintRule = api.Kind[resourcev1.DeviceTaintRule]{
	Version: resourcev1.SchemeGroupVersion, Resource: "devicetaintrules",
	List:     &resourcev1.DeviceTaintRuleList{},
	Versions: taintRuleVersions,
	Status:   api.StatusOf(func(o *resourcev1.DeviceTaintRule) *resourcev1.DeviceTaintRuleStatus { return &o.Status }).WithValidate(validateTaintRuleStatus).Only(),
	Spec:     func(o *resourcev1.DeviceTaintRule) any { return &o.Spec },
	Prepare: func(o *resourcev1.DeviceTaintRule) {
		if t := &o.Spec.Taint; t.TimeAdded == nil && !o.CreationTimestamp.IsZero() {
			t.TimeAdded = o.CreationTimestamp.DeepCopy()
		}
	},
	Validate:       validateTaintRule,
	ValidateUpdate: func(next, _ *resourcev1.DeviceTaintRule) field.ErrorList { return validateTaintRule(next) },
}
