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
	Validate: func(o *admissionregistrationv1.ValidatingWebhookConfiguration) field.ErrorList {
		return validateValidatingWebhooks(o, before{})
	},
	ValidateUpdate: func(next, old *admissionregistrationv1.ValidatingWebhookConfiguration) field.ErrorList {
		b := conditionsBefore(validatingConditions(next), validatingConditions(old))
		return asBefore(validateValidatingWebhooks(next, b), validateValidatingWebhooks(old, before{sameConditions: true}))
	},
	Columns: api.Columns[admissionregistrationv1.ValidatingWebhookConfiguration]{
		api.NameColumn[admissionregistrationv1.ValidatingWebhookConfiguration](),
		api.Number("Webhooks", "Webhooks indicates the number of webhooks registered in this configuration", func(o *admissionregistrationv1.ValidatingWebhookConfiguration) any { return int64(len(o.Webhooks)) }),
		api.AgeColumn[admissionregistrationv1.ValidatingWebhookConfiguration](),
	},
}

func validateValidatingWebhooks(o *admissionregistrationv1.ValidatingWebhookConfiguration, b before) field.ErrorList {
	x := expressions{before: b}
	var errs field.ErrorList
	seen := map[string]bool{}
	for i := range o.Webhooks {
		at := field.NewPath("webhooks").Index(i)
		errs = append(errs, validating(&o.Webhooks[i]).validate(&x, at)...)
		if seen[o.Webhooks[i].Name] {
			errs = append(errs, field.Duplicate(at.Child("name"), o.Webhooks[i].Name))
		}
		seen[o.Webhooks[i].Name] = true
	}
	return errs
}

func validatingConditions(c *admissionregistrationv1.ValidatingWebhookConfiguration) [][]admissionregistrationv1.MatchCondition {
	all := make([][]admissionregistrationv1.MatchCondition, len(c.Webhooks))
	for i := range c.Webhooks {
		all[i] = c.Webhooks[i].MatchConditions
	}
	return all
}
