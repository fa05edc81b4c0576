package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ValidatingWebhookConfiguration is all there is about ValidatingWebhookConfiguration objects on the server.
var ValidatingWebhookConfiguration = api.Kind[admissionregistrationv1.ValidatingWebhookConfiguration]{
	Version: admissionregistrationv1.SchemeGroupVersion, Resource: "validatingwebhookconfigurations", Categories: []string{"api-extensions"},
	LooseFinalizers: true,
	List:            &admissionregistrationv1.ValidatingWebhookConfigurationList{},
	Spec:            func(o *admissionregistrationv1.ValidatingWebhookConfiguration) any { return &o.Webhooks },
}
