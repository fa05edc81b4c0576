package admissionregistration

import (
	"github.com/skiff-k8s/skiff/internal/api/meta"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ValidatingAdmissionPolicy is all there is about ValidatingAdmissionPolicy objects on the server.
var ValidatingAdmissionPolicy = api.Kind[admissionregistrationv1.ValidatingAdmissionPolicy]{
	Version: admissionregistrationv1.SchemeGroupVersion, Resource: "validatingadmissionpolicies", Categories: []string{"api-extensions"},
	LooseFinalizers: true,
	RequireVersion:  true,
	List:            &admissionregistrationv1.ValidatingAdmissionPolicyList{},
	Versions:        validatingPolicyVersions,
	Status: api.StatusOf(func(o *admissionregistrationv1.ValidatingAdmissionPolicy) *admissionregistrationv1.ValidatingAdmissionPolicyStatus {
		return &o.Status
	}).Only().WithValidate(validatePolicyStatus),
	Spec: func(o *admissionregistrationv1.ValidatingAdmissionPolicy) any { return &o.Spec },
	Default: func(o *admissionregistrationv1.ValidatingAdmissionPolicy) {
		meta.DefaultAt(&o.Spec.FailurePolicy, admissionregistrationv1.Fail)
		defaultMatch(o.Spec.MatchConstraints)
	},
	Validate: func(o *admissionregistrationv1.ValidatingAdmissionPolicy) field.ErrorList {
		return validatePolicy(o, nil)
	},
	ValidateUpdate: validatePolicy,
	Columns: api.Columns[admissionregistrationv1.ValidatingAdmissionPolicy]{
		api.NameColumn[admissionregistrationv1.ValidatingAdmissionPolicy](),
		api.Number("Validations", "Validations indicates the number of validation rules defined in this configuration", func(o *admissionregistrationv1.ValidatingAdmissionPolicy) any { return int64(len(o.Spec.Validations)) }),
		api.Text("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy", func(o *admissionregistrationv1.ValidatingAdmissionPolicy) any { return paramKindText(o.Spec.ParamKind) }),
		api.AgeColumn[admissionregistrationv1.ValidatingAdmissionPolicy](),
	},
}
