package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ValidatingWebhookConfiguration is all there is about ValidatingWebhookConfiguration objects on the server.
var ValidatingWebhookConfiguration = api.Kind[admissionregistrationv1.ValidatingWebhookConfiguration]{
	Version: admissionregistrationv1.SchemeGroupVersion, Resource: "validatingwebhookconfigurations", Categories: []string{"api-extensions"},
	LooseFinalizers: true,
	RequireVersion:  true,
	List:            &admissionregistrationv1.ValidatingWebhookConfigurationList{},
	Versions:        validatingWebhookVersions,
	Spec:            func(o *admissionregistrationv1.ValidatingWebhookConfiguration) any { return &o.Webhooks },
	Default: func(o *admissionregistrationv1.ValidatingWebhookConfiguration) {
		for i := range o.Webhooks {
			validating(&o.Webhooks[i]).setDefaults()
		}
	},
	Validate: validateValidatingWebhooks,
	ValidateUpdate: func(next, old *admissionregistrationv1.ValidatingWebhookConfiguration) field.ErrorList {
		return asBefore(validateValidatingWebhooks(next), validateValidatingWebhooks(old))
	},
	Columns: api.Columns[admissionregistrationv1.ValidatingWebhookConfiguration]{
		api.NameColumn[admissionregistrationv1.ValidatingWebhookConfiguration](),
		api.Number("Webhooks", "Webhooks indicates the number of webhooks registered in this configuration", func(o *admissionregistrationv1.ValidatingWebhookConfiguration) any { return int64(len(o.Webhooks)) }),
		api.AgeColumn[admissionregistrationv1.ValidatingWebhookConfiguration](),
	},
}

func validateValidatingWebhooks(o *admissionregistrationv1.ValidatingWebhookConfiguration) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i := range o.Webhooks {
		at := field.NewPath("webhooks").Index(i)
		errs = append(errs, validating(&o.Webhooks[i]).validate(at)...)
		if seen[o.Webhooks[i].Name] {
			errs = append(errs, field.Duplicate(at.Child("name"), o.Webhooks[i].Name))
		}
		seen[o.Webhooks[i].Name] = true
	}
	return errs
}
