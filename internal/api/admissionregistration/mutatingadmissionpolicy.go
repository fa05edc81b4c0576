package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// MutatingAdmissionPolicy is all there is about MutatingAdmissionPolicy objects on the server.
var MutatingAdmissionPolicy = api.Kind[admissionregistrationv1.MutatingAdmissionPolicy]{
	Version: admissionregistrationv1.SchemeGroupVersion, Resource: "mutatingadmissionpolicies", Categories: []string{"api-extensions"},
	LooseFinalizers: true,
	List:            &admissionregistrationv1.MutatingAdmissionPolicyList{},
	Spec:            func(o *admissionregistrationv1.MutatingAdmissionPolicy) any { return &o.Spec },
}
