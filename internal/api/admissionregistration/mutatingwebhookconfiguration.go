package admissionregistration

import (
	"slices"

	"github.com/skiff-k8s/skiff/internal/api/meta"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// MutatingWebhookConfiguration is all there is about MutatingWebhookConfiguration objects on the server.
var MutatingWebhookConfiguration = api.Kind[admissionregistrationv1.MutatingWebhookConfiguration]{
	Version: admissionregistrationv1.SchemeGroupVersion, Resource: "mutatingwebhookconfigurations", Categories: []string{"api-extensions"},
	LooseFinalizers: true,
	RequireVersion:  true,
	List:            &admissionregistrationv1.MutatingWebhookConfigurationList{},
	Versions:        mutatingWebhookVersions,
	Spec:            func(o *admissionregistrationv1.MutatingWebhookConfiguration) any { return &o.Webhooks },
	Default: func(o *admissionregistrationv1.MutatingWebhookConfiguration) {
		for i := range o.Webhooks {
			mutating(&o.Webhooks[i]).setDefaults()
			meta.DefaultAt(&o.Webhooks[i].ReinvocationPolicy, admissionregistrationv1.NeverReinvocationPolicy)
		}
	},
	Validate: func(o *admissionregistrationv1.MutatingWebhookConfiguration) field.ErrorList {
		return validateMutatingWebhooks(o, before{})
	},
	ValidateUpdate: func(next, old *admissionregistrationv1.MutatingWebhookConfiguration) field.ErrorList {
		b := conditionsBefore(mutatingConditions(next), mutatingConditions(old))
		return asBefore(validateMutatingWebhooks(next, b), validateMutatingWebhooks(old, before{sameConditions: true}))
	},
	Columns: api.Columns[admissionregistrationv1.MutatingWebhookConfiguration]{
		api.NameColumn[admissionregistrationv1.MutatingWebhookConfiguration](),
		api.Number("Webhooks", "Webhooks indicates the number of webhooks registered in this configuration", func(o *admissionregistrationv1.MutatingWebhookConfiguration) any { return int64(len(o.Webhooks)) }),
		api.AgeColumn[admissionregistrationv1.MutatingWebhookConfiguration](),
	},
}

func validateMutatingWebhooks(o *admissionregistrationv1.MutatingWebhookConfiguration, b before) field.ErrorList {
	x := expressions{before: b}
	var errs field.ErrorList
	seen := map[string]bool{}
	for i := range o.Webhooks {
		at := field.NewPath("webhooks").Index(i)
		errs = append(errs, mutating(&o.Webhooks[i]).validate(&x, at)...)
		policies := []admissionregistrationv1.ReinvocationPolicyType{admissionregistrationv1.IfNeededReinvocationPolicy, admissionregistrationv1.NeverReinvocationPolicy}
		if p := o.Webhooks[i].ReinvocationPolicy; p != nil && !slices.Contains(policies, *p) {
			errs = append(errs, field.NotSupported(at.Child("reinvocationPolicy"), *p, policies))
		}
		if seen[o.Webhooks[i].Name] {
			errs = append(errs, field.Duplicate(at.Child("name"), o.Webhooks[i].Name))
		}
		seen[o.Webhooks[i].Name] = true
	}
	return errs
}

func mutatingConditions(c *admissionregistrationv1.MutatingWebhookConfiguration) [][]admissionregistrationv1.MatchCondition {
	all := make([][]admissionregistrationv1.MatchCondition, len(c.Webhooks))
	for i := range c.Webhooks {
		all[i] = c.Webhooks[i].MatchConditions
	}
	return all
}
