package admissionregistration

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// webhook is what webhooks of both kinds have in common.
type webhook struct {
	name              string
	client            *admissionregistrationv1.WebhookClientConfig
	rules             []admissionregistrationv1.RuleWithOperations
	failure           **admissionregistrationv1.FailurePolicyType
	match             **admissionregistrationv1.MatchPolicyType
	namespaceSelector **metav1.LabelSelector
	objectSelector    **metav1.LabelSelector
	timeout           **int32
	sideEffects       *admissionregistrationv1.SideEffectClass
	reviewVersions    []string
	conditions        []admissionregistrationv1.MatchCondition
}

func validating(w *admissionregistrationv1.ValidatingWebhook) webhook {
	return webhook{w.Name, &w.ClientConfig, w.Rules, &w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector, &w.TimeoutSeconds, w.SideEffects, w.AdmissionReviewVersions, w.MatchConditions}
}

func mutating(w *admissionregistrationv1.MutatingWebhook) webhook {
	return webhook{w.Name, &w.ClientConfig, w.Rules, &w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector, &w.TimeoutSeconds, w.SideEffects, w.AdmissionReviewVersions, w.MatchConditions}
}

func (w webhook) setDefaults() {
	meta.DefaultAt(w.failure, admissionregistrationv1.Fail)
	meta.DefaultAt(w.match, admissionregistrationv1.Equivalent)
	meta.DefaultAt(w.namespaceSelector, metav1.LabelSelector{})
	meta.DefaultAt(w.objectSelector, metav1.LabelSelector{})
	meta.DefaultAt(w.timeout, 10)
	for i := range w.rules {
		defaultRule(&w.rules[i].Rule)
	}
	if s := w.client.Service; s != nil {
		meta.DefaultAt(&s.Port, 443)
	}
}

func defaultRule(r *admissionregistrationv1.Rule) {
	meta.DefaultAt(&r.Scope, admissionregistrationv1.AllScopes)
}

func (w webhook) validate(x *expressions, at *field.Path) field.ErrorList {
	errs := validation.IsFullyQualifiedName(at.Child("name"), w.name)
	for i := range w.rules {
		errs = append(errs, validateRule(&w.rules[i], at.Child("rules").Index(i))...)
	}
	errs = append(errs, validateFailure(*w.failure, at)...)
	errs = append(errs, validateMatchPolicy(*w.match, at)...)
	effects := []admissionregistrationv1.SideEffectClass{admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.SideEffectClassNoneOnDryRun}
	if w.sideEffects == nil {
		errs = append(errs, field.Required(at.Child("sideEffects"), fmt.Sprintf("must specify one of %v", "None, NoneOnDryRun")))
	} else if !slices.Contains(effects, *w.sideEffects) {
		errs = append(errs, field.NotSupported(at.Child("sideEffects"), *w.sideEffects, effects))
	}
	if t := *w.timeout; t != nil && (*t > 30 || *t < 1) {
		errs = append(errs, field.Invalid(at.Child("timeoutSeconds"), *t, "the timeout value must be between 1 and 30 seconds"))
	}
	errs = append(errs, meta.LabelSelector(*w.namespaceSelector, at.Child("namespaceSelector"))...)
	errs = append(errs, meta.LabelSelector(*w.objectSelector, at.Child("objectSelector"))...)
	errs = append(errs, validateClient(w.client, at.Child("clientConfig"))...)
	errs = append(errs, validateReviewVersions(w.reviewVersions, at.Child("admissionReviewVersions"))...)
	return append(errs, x.conditions(w.conditions, at.Child("matchConditions"))...)
}

func validateFailure(p *admissionregistrationv1.FailurePolicyType, at *field.Path) field.ErrorList {
	valid := []admissionregistrationv1.FailurePolicyType{admissionregistrationv1.Fail, admissionregistrationv1.Ignore}
	if p != nil && !slices.Contains(valid, *p) {
		return field.ErrorList{field.NotSupported(at.Child("failurePolicy"), *p, valid)}
	}
	return nil
}

func validateMatchPolicy(p *admissionregistrationv1.MatchPolicyType, at *field.Path) field.ErrorList {
	valid := []admissionregistrationv1.MatchPolicyType{admissionregistrationv1.Equivalent, admissionregistrationv1.Exact}
	if p != nil && !slices.Contains(valid, *p) {
		return field.ErrorList{field.NotSupported(at.Child("matchPolicy"), *p, valid)}
	}
	return nil
}

func validateClient(c *admissionregistrationv1.WebhookClientConfig, at *field.Path) field.ErrorList {
	if (c.URL == nil) == (c.Service == nil) {
		return field.ErrorList{field.Required(at, "exactly one of url or service is required")}
	}
	if c.URL != nil {
		return validateURL(*c.URL, at.Child("url"))
	}
	var errs field.ErrorList
	s, at := c.Service, at.Child("service")
	// compat: a service without a name is reported as one without a namespace, and the other way round.
	if s.Namespace == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	}
	if s.Name == "" {
		errs = append(errs, field.Required(at.Child("namespace"), ""))
	}
	if s.Port != nil && (*s.Port < 1 || *s.Port > 65535) {
		errs = append(errs, field.Invalid(at.Child("port"), *s.Port, "port is not valid: must be between 1 and 65535, inclusive"))
	}
	if s.Path == nil {
		return errs
	}
	path := at.Child("path")
	p := *s.Path
	if p == "/" || p == "" {
		return errs
	}
	if p == "//" {
		return append(errs, field.Invalid(path, p, "segment[0] may not be empty"))
	}
	if !strings.HasPrefix(p, "/") {
		errs = append(errs, field.Invalid(path, p, "must start with a '/'"))
	}
	for i, step := range strings.Split(strings.TrimSuffix(p[1:], "/"), "/") {
		if step == "" {
			errs = append(errs, field.Invalid(path, p, fmt.Sprintf("segment[%d] may not be empty", i)))
			continue
		}
		for _, m := range meta.DNSSubdomain(step) {
			errs = append(errs, field.Invalid(path, p, fmt.Sprintf("segment[%d]: %v", i, m)))
		}
	}
	return errs
}

func validateURL(text string, at *field.Path) field.ErrorList {
	const form = "; desired format: https://host[/path]"
	u, err := url.Parse(text)
	if err != nil {
		return field.ErrorList{field.Required(at, "url must be a valid URL: "+err.Error()+form)}
	}
	var errs field.ErrorList
	if u.Scheme != "https" {
		errs = append(errs, field.Invalid(at, u.Scheme, "'https' is the only allowed URL scheme"+form))
	}
	if u.Host == "" {
		errs = append(errs, field.Invalid(at, u.Host, "host must be specified"+form))
	}
	if u.User != nil {
		errs = append(errs, field.Invalid(at, u.User.String(), "user information is not permitted in the URL"))
	}
	if u.Fragment != "" {
		errs = append(errs, field.Invalid(at, u.Fragment, "fragments are not permitted in the URL"))
	}
	if u.RawQuery != "" {
		errs = append(errs, field.Invalid(at, u.RawQuery, "query parameters are not permitted in the URL"))
	}
	return errs
}

func validateReviewVersions(vs []string, at *field.Path) field.ErrorList {
	if len(vs) == 0 {
		return field.ErrorList{field.Required(at, "must specify one of v1, v1beta1")}
	}
	var errs field.ErrorList
	known, seen := false, make(map[string]bool, len(vs))
	for i, v := range vs {
		if seen[v] {
			errs = append(errs, field.Invalid(at.Index(i), v, "duplicate version"))
			continue
		}
		seen[v] = true
		errs = append(errs, meta.Invalids(at.Index(i), v, validation.IsDNS1035Label(v))...)
		known = known || v == "v1" || v == "v1beta1"
	}
	if !known {
		errs = append(errs, field.Invalid(at, vs, "must include at least one of v1, v1beta1"))
	}
	return errs
}

var operations = []admissionregistrationv1.OperationType{admissionregistrationv1.OperationAll, admissionregistrationv1.Connect, admissionregistrationv1.Create, admissionregistrationv1.Delete, admissionregistrationv1.Update}

func validateRule(r *admissionregistrationv1.RuleWithOperations, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	list := func(name string, values []string) {
		path := at.Child(name)
		if len(values) == 0 {
			errs = append(errs, field.Required(path, ""))
		}
		if len(values) > 1 && slices.Contains(values, "*") {
			errs = append(errs, field.Invalid(path, values, "if '*' is present, must not specify other "+map[string]string{"apiGroups": "API groups", "apiVersions": "API versions"}[name]))
		}
	}
	list("apiGroups", r.APIGroups)
	list("apiVersions", r.APIVersions)
	for i, v := range r.APIVersions {
		if v == "" {
			errs = append(errs, field.Required(at.Child("apiVersions").Index(i), ""))
		}
	}
	errs = append(errs, validateResources(r.Resources, at.Child("resources"))...)
	ops := at.Child("operations")
	if len(r.Operations) == 0 {
		errs = append(errs, field.Required(ops, ""))
	}
	if len(r.Operations) > 1 && slices.Contains(r.Operations, admissionregistrationv1.OperationAll) {
		errs = append(errs, field.Invalid(ops, r.Operations, "if '*' is present, must not specify other operations"))
	}
	for i, o := range r.Operations {
		if !slices.Contains(operations, o) {
			errs = append(errs, field.NotSupported(ops.Index(i), o, operations))
		}
	}
	scopes := []admissionregistrationv1.ScopeType{admissionregistrationv1.AllScopes, admissionregistrationv1.ClusterScope, admissionregistrationv1.NamespacedScope}
	if r.Scope != nil && !slices.Contains(scopes, *r.Scope) {
		errs = append(errs, field.NotSupported(at.Child("scope"), *r.Scope, scopes))
	}
	return errs
}

// validateResources refuses a list of resources, or resource/subresource, in which
// one entry says what another one says already.
func validateResources(resources []string, at *field.Path) field.ErrorList {
	if len(resources) == 0 {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	allOf, everyones := map[string]bool{}, map[string]bool{} // pods/*, */status
	plain := false
	for i, v := range resources {
		if v == "" {
			errs = append(errs, field.Required(at.Index(i), ""))
			continue
		}
		res, sub, ok := strings.Cut(v, "/")
		if !ok {
			// compat: the last one decides.
			plain = v != "*"
			continue
		}
		if allOf[res] {
			errs = append(errs, field.Invalid(at.Index(i), v, fmt.Sprintf("if '%s/*' is present, must not specify %s", res, v)))
		}
		if everyones[sub] {
			errs = append(errs, field.Invalid(at.Index(i), v, fmt.Sprintf("if '*/%s' is present, must not specify %s", sub, v)))
		}
		if sub == "*" {
			allOf[res] = true
		}
		if res == "*" {
			everyones[sub] = true
		}
	}
	if len(resources) > 1 && slices.Contains(resources, "*/*") {
		errs = append(errs, field.Invalid(at, resources, "if '*/*' is present, must not specify other resources"))
	}
	if plain && slices.Contains(resources, "*") {
		errs = append(errs, field.Invalid(at, resources, "if '*' is present, must not specify other resources without subresources"))
	}
	return errs
}
