package admissionregistration

import (
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	admissionregistrationv1beta1 "k8s.io/api/admissionregistration/v1beta1"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// Webhooks of v1beta1 are trusted less: what fails is let pass, only the very
// version that a rule names is sent, and they are waited for longer.
const (
	failurePolicyV1beta1 = admissionregistrationv1beta1.Ignore
	matchPolicyV1beta1   = admissionregistrationv1beta1.Exact
	sideEffectsV1beta1   = admissionregistrationv1beta1.SideEffectClassUnknown
	timeoutV1beta1       = int32(30)
)

var reviewsV1beta1 = []string{"v1beta1"}

// unworried forgives webhooks of v1beta1 that have effects, or names that are there twice.
func unworried(e *field.Error) bool {
	return hasEffects(e) || e.Type == field.ErrorTypeDuplicate && strings.HasPrefix(e.Field, "webhooks[") && strings.HasSuffix(e.Field, "].name")
}

// hasEffects is the error of a webhook that may change something besides the object.
func hasEffects(e *field.Error) bool {
	class, ok := e.BadValue.(admissionregistrationv1.SideEffectClass)
	return ok && e.Type == field.ErrorTypeNotSupported && strings.HasSuffix(e.Field, ".sideEffects") &&
		(class == admissionregistrationv1.SideEffectClassUnknown || class == admissionregistrationv1.SideEffectClassSome)
}

// asBefore lets what was stored through v1beta1 be updated through v1.
func asBefore(errs, had field.ErrorList) field.ErrorList {
	for _, tolerated := range []func(*field.Error) bool{hasEffects, func(e *field.Error) bool { return unworried(e) && !hasEffects(e) }} {
		if slices.ContainsFunc(had, tolerated) {
			errs = slices.DeleteFunc(errs, tolerated)
		}
	}
	return errs
}

var mutatingWebhookVersions = api.Versions{
	api.As[admissionregistrationv1.MutatingWebhookConfiguration, admissionregistrationv1beta1.MutatingWebhookConfiguration]{
		Version: admissionregistrationv1beta1.SchemeGroupVersion, List: &admissionregistrationv1beta1.MutatingWebhookConfigurationList{}, Forgives: unworried,
		Default: func(c *admissionregistrationv1beta1.MutatingWebhookConfiguration) {
			for i := range c.Webhooks {
				w := &c.Webhooks[i]
				meta.DefaultAt(&w.FailurePolicy, failurePolicyV1beta1)
				meta.DefaultAt(&w.MatchPolicy, matchPolicyV1beta1)
				meta.DefaultAt(&w.SideEffects, sideEffectsV1beta1)
				meta.DefaultAt(&w.TimeoutSeconds, timeoutV1beta1)
				if len(w.AdmissionReviewVersions) == 0 {
					w.AdmissionReviewVersions = reviewsV1beta1
				}
			}
		}},
}

var validatingWebhookVersions = api.Versions{
	api.As[admissionregistrationv1.ValidatingWebhookConfiguration, admissionregistrationv1beta1.ValidatingWebhookConfiguration]{
		Version: admissionregistrationv1beta1.SchemeGroupVersion, List: &admissionregistrationv1beta1.ValidatingWebhookConfigurationList{}, Forgives: unworried,
		Default: func(c *admissionregistrationv1beta1.ValidatingWebhookConfiguration) {
			for i := range c.Webhooks {
				w := &c.Webhooks[i]
				meta.DefaultAt(&w.FailurePolicy, failurePolicyV1beta1)
				meta.DefaultAt(&w.MatchPolicy, matchPolicyV1beta1)
				meta.DefaultAt(&w.SideEffects, sideEffectsV1beta1)
				meta.DefaultAt(&w.TimeoutSeconds, timeoutV1beta1)
				if len(w.AdmissionReviewVersions) == 0 {
					w.AdmissionReviewVersions = reviewsV1beta1
				}
			}
		}},
}

// The policies of v1beta1 have the fields and the defaults of v1.
var (
	mutatingPolicyVersions = api.Versions{api.As[admissionregistrationv1.MutatingAdmissionPolicy, admissionregistrationv1beta1.MutatingAdmissionPolicy]{
		Version: admissionregistrationv1beta1.SchemeGroupVersion, List: &admissionregistrationv1beta1.MutatingAdmissionPolicyList{}}}
	mutatingPolicyBindingVersions = api.Versions{api.As[admissionregistrationv1.MutatingAdmissionPolicyBinding, admissionregistrationv1beta1.MutatingAdmissionPolicyBinding]{
		Version: admissionregistrationv1beta1.SchemeGroupVersion, List: &admissionregistrationv1beta1.MutatingAdmissionPolicyBindingList{}}}
	validatingPolicyVersions = api.Versions{api.As[admissionregistrationv1.ValidatingAdmissionPolicy, admissionregistrationv1beta1.ValidatingAdmissionPolicy]{
		Version: admissionregistrationv1beta1.SchemeGroupVersion, List: &admissionregistrationv1beta1.ValidatingAdmissionPolicyList{}}}
	validatingPolicyBindingVersions = api.Versions{api.As[admissionregistrationv1.ValidatingAdmissionPolicyBinding, admissionregistrationv1beta1.ValidatingAdmissionPolicyBinding]{
		Version: admissionregistrationv1beta1.SchemeGroupVersion, List: &admissionregistrationv1beta1.ValidatingAdmissionPolicyBindingList{}}}
)
