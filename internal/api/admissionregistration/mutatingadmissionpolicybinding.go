package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// MutatingAdmissionPolicyBinding is all there is about MutatingAdmissionPolicyBinding objects on the server.
var MutatingAdmissionPolicyBinding = api.Kind[admissionregistrationv1.MutatingAdmissionPolicyBinding]{
	Version: admissionregistrationv1.SchemeGroupVersion, Resource: "mutatingadmissionpolicybindings", Categories: []string{"api-extensions"},
	LooseFinalizers: true,
	RequireVersion:  true,
	List:            &admissionregistrationv1.MutatingAdmissionPolicyBindingList{},
	Versions:        mutatingPolicyBindingVersions,
	Spec:            func(o *admissionregistrationv1.MutatingAdmissionPolicyBinding) any { return &o.Spec },
	Default:         func(o *admissionregistrationv1.MutatingAdmissionPolicyBinding) { defaultMatch(o.Spec.MatchResources) },
	Validate:        validateMutatingBinding,
	ValidateUpdate: func(next, _ *admissionregistrationv1.MutatingAdmissionPolicyBinding) field.ErrorList {
		return validateMutatingBinding(next)
	},
	Columns: api.Columns[admissionregistrationv1.MutatingAdmissionPolicyBinding]{
		api.NameColumn[admissionregistrationv1.MutatingAdmissionPolicyBinding](),
		api.Text("PolicyName", "PolicyName indicates the policy definition which the policy binding binded to", func(o *admissionregistrationv1.MutatingAdmissionPolicyBinding) any { return o.Spec.PolicyName }),
		api.Text("ParamRef", "ParamRef indicates the param resource which sets the configration param", func(o *admissionregistrationv1.MutatingAdmissionPolicyBinding) any {
			return paramRefText(o.Spec.ParamRef)
		}),
		api.AgeColumn[admissionregistrationv1.MutatingAdmissionPolicyBinding](),
	},
}
