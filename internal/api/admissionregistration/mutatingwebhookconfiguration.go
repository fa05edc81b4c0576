package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// MutatingWebhookConfiguration is all there is about MutatingWebhookConfiguration objects on the server.
var MutatingWebhookConfiguration = api.Kind[admissionregistrationv1.MutatingWebhookConfiguration]{
	Version: admissionregistrationv1.SchemeGroupVersion, Resource: "mutatingwebhookconfigurations", Categories: []string{"api-extensions"},
	LooseFinalizers: true,
	List:            &admissionregistrationv1.MutatingWebhookConfigurationList{},
	Spec:            func(o *admissionregistrationv1.MutatingWebhookConfiguration) any { return &o.Webhooks },
}
