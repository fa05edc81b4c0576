package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ValidatingAdmissionPolicyBinding is all there is about ValidatingAdmissionPolicyBinding objects on the server.
var ValidatingAdmissionPolicyBinding = api.Kind[admissionregistrationv1.ValidatingAdmissionPolicyBinding]{
	Version: admissionregistrationv1.SchemeGroupVersion, Resource: "validatingadmissionpolicybindings", Categories: []string{"api-extensions"},
	LooseFinalizers: true,
	RequireVersion:  true,
	List:            &admissionregistrationv1.ValidatingAdmissionPolicyBindingList{},
	Versions:        validatingPolicyBindingVersions,
	Spec:            func(o *admissionregistrationv1.ValidatingAdmissionPolicyBinding) any { return &o.Spec },
	Default:         func(o *admissionregistrationv1.ValidatingAdmissionPolicyBinding) { defaultMatch(o.Spec.MatchResources) },
	Validate:        validatePolicyBinding,
	ValidateUpdate: func(next, _ *admissionregistrationv1.ValidatingAdmissionPolicyBinding) field.ErrorList {
		return validatePolicyBinding(next)
	},
	Columns: api.Columns[admissionregistrationv1.ValidatingAdmissionPolicyBinding]{
		api.NameColumn[admissionregistrationv1.ValidatingAdmissionPolicyBinding](),
		api.Text("PolicyName", "PolicyName indicates the policy definition which the policy binding binded to", func(o *admissionregistrationv1.ValidatingAdmissionPolicyBinding) any { return o.Spec.PolicyName }),
		api.Text("ParamRef", "ParamRef indicates the param resource which sets the configration param", func(o *admissionregistrationv1.ValidatingAdmissionPolicyBinding) any {
			return paramRefText(o.Spec.ParamRef)
		}),
		api.AgeColumn[admissionregistrationv1.ValidatingAdmissionPolicyBinding](),
	},
}
