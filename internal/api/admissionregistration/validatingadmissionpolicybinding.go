package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ValidatingAdmissionPolicyBinding is all there is about ValidatingAdmissionPolicyBinding objects on the server.
var ValidatingAdmissionPolicyBinding = api.Kind[admissionregistrationv1.ValidatingAdmissionPolicyBinding]{
	Version: admissionregistrationv1.SchemeGroupVersion, Resource: "validatingadmissionpolicybindings", Categories: []string{"api-extensions"},
	LooseFinalizers: true,
	List:            &admissionregistrationv1.ValidatingAdmissionPolicyBindingList{},
	Spec:            func(o *admissionregistrationv1.ValidatingAdmissionPolicyBinding) any { return &o.Spec },
}
