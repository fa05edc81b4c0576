package admissionregistration

import (
	"github.com/skiff-k8s/skiff/internal/api/meta"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// MutatingAdmissionPolicy is all there is about MutatingAdmissionPolicy objects on the server.
var MutatingAdmissionPolicy = api.Kind[admissionregistrationv1.MutatingAdmissionPolicy]{
	Version: admissionregistrationv1.SchemeGroupVersion, Resource: "mutatingadmissionpolicies", Categories: []string{"api-extensions"},
	LooseFinalizers: true,
	RequireVersion:  true,
	List:            &admissionregistrationv1.MutatingAdmissionPolicyList{},
	Versions:        mutatingPolicyVersions,
	Spec:            func(o *admissionregistrationv1.MutatingAdmissionPolicy) any { return &o.Spec },
	Default: func(o *admissionregistrationv1.MutatingAdmissionPolicy) {
		meta.DefaultAt(&o.Spec.FailurePolicy, admissionregistrationv1.Fail)
		defaultMatch(o.Spec.MatchConstraints)
	},
	Validate: func(o *admissionregistrationv1.MutatingAdmissionPolicy) field.ErrorList {
		return validateMutatingPolicy(o, nil)
	},
	ValidateUpdate: validateMutatingPolicy,
	Columns: api.Columns[admissionregistrationv1.MutatingAdmissionPolicy]{
		api.NameColumn[admissionregistrationv1.MutatingAdmissionPolicy](),
		api.Number("Mutations", "Mutation indicates the number of mutations rules defined in this configuration", func(o *admissionregistrationv1.MutatingAdmissionPolicy) any { return int64(len(o.Spec.Mutations)) }),
		api.Text("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy", func(o *admissionregistrationv1.MutatingAdmissionPolicy) any { return paramKindText(o.Spec.ParamKind) }),
		api.AgeColumn[admissionregistrationv1.MutatingAdmissionPolicy](),
	},
}
