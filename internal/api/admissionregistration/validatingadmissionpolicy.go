package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ValidatingAdmissionPolicy is all there is about ValidatingAdmissionPolicy objects on the server.
var ValidatingAdmissionPolicy = api.Kind[admissionregistrationv1.ValidatingAdmissionPolicy]{
	Version: admissionregistrationv1.SchemeGroupVersion, Resource: "validatingadmissionpolicies", Categories: []string{"api-extensions"},
	LooseFinalizers: true,
	List:            &admissionregistrationv1.ValidatingAdmissionPolicyList{},
	Status: api.StatusOf(func(o *admissionregistrationv1.ValidatingAdmissionPolicy) *admissionregistrationv1.ValidatingAdmissionPolicyStatus {
		return &o.Status
	}),
	Spec: func(o *admissionregistrationv1.ValidatingAdmissionPolicy) any { return &o.Spec },
}
