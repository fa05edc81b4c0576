package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// MutatingAdmissionPolicyBinding is all there is about MutatingAdmissionPolicyBinding objects on the server.
var MutatingAdmissionPolicyBinding = api.Kind[admissionregistrationv1.MutatingAdmissionPolicyBinding]{
	Version: admissionregistrationv1.SchemeGroupVersion, Resource: "mutatingadmissionpolicybindings", Categories: []string{"api-extensions"},
	LooseFinalizers: true,
	List:            &admissionregistrationv1.MutatingAdmissionPolicyBindingList{},
	Spec:            func(o *admissionregistrationv1.MutatingAdmissionPolicyBinding) any { return &o.Spec },
}
