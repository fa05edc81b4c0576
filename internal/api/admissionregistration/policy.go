package admissionregistration

import (
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/util/jsonpath"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/cel"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var specPath = field.NewPath("spec")

func defaultMatch(m *admissionregistrationv1.MatchResources) {
	if m == nil {
		return
	}
	meta.DefaultAt(&m.MatchPolicy, admissionregistrationv1.Equivalent)
	meta.DefaultAt(&m.NamespaceSelector, metav1.LabelSelector{})
	meta.DefaultAt(&m.ObjectSelector, metav1.LabelSelector{})
	for i := range m.ResourceRules {
		defaultRule(&m.ResourceRules[i].Rule)
	}
	for i := range m.ExcludeResourceRules {
		defaultRule(&m.ExcludeResourceRules[i].Rule)
	}
}

func validateMatch(m *admissionregistrationv1.MatchResources, at *field.Path, rules bool) field.ErrorList {
	if m == nil {
		if rules {
			return field.ErrorList{field.Required(at, "")}
		}
		return nil
	}
	errs := validateMatchPolicy(m.MatchPolicy, at)
	errs = append(errs, meta.LabelSelector(m.NamespaceSelector, at.Child("namespaceSelector"))...)
	errs = append(errs, meta.LabelSelector(m.ObjectSelector, at.Child("objectSelector"))...)
	if rules && len(m.ResourceRules) == 0 {
		errs = append(errs, field.Required(at.Child("resourceRules"), ""))
	}
	for i := range m.ResourceRules {
		errs = append(errs, validateNamedRule(&m.ResourceRules[i], at.Child("resourceRules").Index(i))...)
	}
	for i := range m.ExcludeResourceRules {
		errs = append(errs, validateNamedRule(&m.ExcludeResourceRules[i], at.Child("excludeResourceRules").Index(i))...)
	}
	return errs
}

// validateNamedRule checks a rule that may be about some objects only.
func validateNamedRule(r *admissionregistrationv1.NamedRuleWithOperations, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := make(map[string]bool, len(r.ResourceNames))
	for i, name := range r.ResourceNames {
		idx := at.Child("resourceNames").Index(i)
		errs = append(errs, meta.Invalids(idx, name, api.NameIsPathSegment(name, false))...)
		if seen[name] {
			errs = append(errs, field.Duplicate(idx, name))
		}
		seen[name] = true
	}
	return append(errs, validateRule(&r.RuleWithOperations, at)...)
}

func validateParamKind(k *admissionregistrationv1.ParamKind, at *field.Path) field.ErrorList {
	if k == nil {
		return nil
	}
	var errs field.ErrorList
	gv, err := schema.ParseGroupVersion(k.APIVersion)
	switch {
	case k.APIVersion == "":
		errs = append(errs, field.Required(at.Child("apiVersion"), ""))
	case err != nil:
		errs = append(errs, field.Invalid(at.Child("apiVersion"), k.APIVersion, err.Error()))
	default:
		if gv.Group != "" {
			if msgs := validation.IsDNS1123Subdomain(gv.Group); len(msgs) > 0 {
				errs = append(errs, field.Invalid(at.Child("apiVersion"), gv.Group, strings.Join(msgs, ",")))
			}
		}
		if gv.Version == "" {
			errs = append(errs, field.Invalid(at.Child("apiVersion"), k.APIVersion, "version must be specified"))
		} else if msgs := validation.IsDNS1035Label(gv.Version); len(msgs) > 0 {
			errs = append(errs, field.Invalid(at.Child("apiVersion"), gv.Version, strings.Join(msgs, ",")))
		}
	}
	if k.Kind == "" {
		errs = append(errs, field.Required(at.Child("kind"), ""))
	} else if msgs := validation.IsDNS1035Label(strings.ToLower(k.Kind)); len(msgs) > 0 {
		errs = append(errs, field.Invalid(at.Child("kind"), k.Kind, "may have mixed case, but should otherwise match: "+strings.Join(msgs, ",")))
	}
	return errs
}

func validateParamRef(r *admissionregistrationv1.ParamRef, at *field.Path) field.ErrorList {
	if r == nil {
		return nil
	}
	errs := meta.Invalids(at.Child("name"), r.Name, api.NameIsPathSegment(r.Name, false))
	if r.Name != "" && r.Selector != nil {
		errs = append(errs, field.Forbidden(at.Child("name"), "name and selector are mutually exclusive"), field.Forbidden(at.Child("selector"), "name and selector are mutually exclusive"))
	}
	if r.Name == "" && r.Selector == nil {
		errs = append(errs, field.Required(at, "one of name or selector must be specified"))
	}
	errs = append(errs, meta.LabelSelector(r.Selector, at.Child("selector"))...)
	valid := []admissionregistrationv1.ParameterNotFoundActionType{admissionregistrationv1.DenyAction, admissionregistrationv1.AllowAction}
	if r.ParameterNotFoundAction == nil || *r.ParameterNotFoundAction == "" {
		errs = append(errs, field.Required(at.Child("parameterNotFoundAction"), ""))
	} else if !slices.Contains(valid, *r.ParameterNotFoundAction) {
		errs = append(errs, field.NotSupported(at.Child("parameterNotFoundAction"), *r.ParameterNotFoundAction, valid))
	}
	return errs
}

func validatePolicyName(name string) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(specPath.Child("policyName"), "")}
	}
	return meta.NameError(specPath.Child("policyName"), name, meta.DNSSubdomain)
}

func validatePolicy(o, old *admissionregistrationv1.ValidatingAdmissionPolicy) field.ErrorList {
	s := &o.Spec
	// compat: expressions of a policy without variables do not know the word; those of a mutating one always do.
	x := expressions{params: s.ParamKind != nil, variables: len(s.Variables) > 0, before: policyBefore(o, old)}
	errs := validateFailure(s.FailurePolicy, specPath)
	errs = append(errs, validateParamKind(s.ParamKind, specPath.Child("paramKind"))...)
	errs = append(errs, validateMatch(s.MatchConstraints, specPath.Child("matchConstraints"), true)...)
	errs = append(errs, x.conditions(s.MatchConditions, specPath.Child("matchConditions"))...)
	for i := range s.Variables {
		errs = append(errs, x.variable(&s.Variables[i], specPath.Child("variables").Index(i))...)
	}
	if len(s.Validations) == 0 && len(s.AuditAnnotations) == 0 {
		const text = "validations or auditAnnotations must contain at least one item"
		return append(errs, field.Required(specPath.Child("validations"), text), field.Required(specPath.Child("auditAnnotations"), text))
	}
	for i := range s.Validations {
		errs = append(errs, x.validation(&s.Validations[i], specPath.Child("validations").Index(i))...)
	}
	at := specPath.Child("auditAnnotations")
	if len(s.AuditAnnotations) > maxAuditAnnotations {
		return append(errs, field.Invalid(at, meta.GoNames(s.AuditAnnotations), fmt.Sprintf("must not have more than %d auditAnnotations", maxAuditAnnotations)))
	}
	for i := range s.AuditAnnotations {
		a := &s.AuditAnnotations[i]
		errs = append(errs, x.annotation(o.Name, a, at.Index(i))...)
		if slices.ContainsFunc(s.AuditAnnotations[:i], func(b admissionregistrationv1.AuditAnnotation) bool { return a.Key == b.Key }) {
			errs = append(errs, field.Duplicate(at.Index(i).Child("key"), a.Key))
		}
	}
	return errs
}

const (
	maxAuditAnnotations      = 20
	maxAuditAnnotationLength = 5 * 1024
)

var reasons = []metav1.StatusReason{metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonRequestEntityTooLarge}

func (x *expressions) validation(v *admissionregistrationv1.Validation, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if strings.TrimSpace(v.Expression) == "" {
		errs = append(errs, field.Required(at.Child("expression"), "expression is not specified"))
	} else {
		errs = append(errs, x.compile(v.Expression, withAuthorizer, cel.Bool, at.Child("expression"))...)
	}
	switch {
	case v.MessageExpression == "":
	case strings.TrimSpace(v.MessageExpression) == "":
		errs = append(errs, field.Invalid(at.Child("messageExpression"), v.MessageExpression, "must be non-empty if specified"))
	default:
		errs = append(errs, x.compile(v.MessageExpression, cel.Scope{}, cel.String, at.Child("messageExpression"))...)
	}
	switch message := strings.TrimSpace(v.Message); {
	case v.Message == "":
	case message == "":
		errs = append(errs, field.Invalid(at.Child("message"), v.Message, "must be non-empty if specified"))
	case strings.ContainsAny(message, "\n\r"):
		errs = append(errs, field.Invalid(at.Child("message"), v.Message, "must not contain line breaks"))
	}
	if v.Reason != nil && !slices.Contains(reasons, *v.Reason) {
		errs = append(errs, field.NotSupported(at.Child("reason"), *v.Reason, reasons))
	}
	return errs
}

func (x *expressions) annotation(policy string, a *admissionregistrationv1.AuditAnnotation, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if policy != "" {
		// The annotation will be POLICY/KEY.
		errs = append(errs, meta.Invalids(at.Child("key"), policy+"/"+a.Key, meta.QualifiedName(policy+"/"+a.Key))...)
	} else {
		errs = append(errs, field.Invalid(at.Child("key"), a.Key, "requires metadata.name be non-empty"))
	}
	at = at.Child("valueExpression")
	switch n := len(strings.TrimSpace(a.ValueExpression)); {
	case n == 0:
		errs = append(errs, field.Required(at, "valueExpression is not specified"))
	case n > maxAuditAnnotationLength:
		errs = append(errs, field.Required(at, fmt.Sprintf("must not exceed %d bytes in length", maxAuditAnnotationLength)))
	default:
		err := x.program(x.trimmed(a.ValueExpression, withAuthorizer, cel.StringOrNull))
		errs = append(errs, cel.Errors(at, a.ValueExpression, err)...)
	}
	return errs
}

var reservedWords = []string{"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"}

// identifier tells whether expressions may name a variable so.
func identifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && !('a' <= c && c <= 'z') && !('A' <= c && c <= 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && !slices.Contains(reservedWords, s)
}

func validatePolicyBinding(o *admissionregistrationv1.ValidatingAdmissionPolicyBinding) field.ErrorList {
	s := &o.Spec
	errs := validatePolicyName(s.PolicyName)
	errs = append(errs, validateParamRef(s.ParamRef, specPath.Child("paramRef"))...)
	errs = append(errs, validateMatch(s.MatchResources, specPath.Child("matchResources"), false)...)
	at := specPath.Child("validationActions")
	if len(s.ValidationActions) == 0 {
		errs = append(errs, field.Required(at, "at least one validation action is required"))
	}
	valid := []admissionregistrationv1.ValidationAction{admissionregistrationv1.Audit, admissionregistrationv1.Deny, admissionregistrationv1.Warn}
	seen := map[admissionregistrationv1.ValidationAction]bool{}
	for i, a := range s.ValidationActions {
		if !slices.Contains(valid, a) {
			errs = append(errs, field.NotSupported(at.Index(i), a, valid))
		}
		if seen[a] {
			errs = append(errs, field.Duplicate(at.Index(i), a))
		}
		seen[a] = true
	}
	if slices.Contains(s.ValidationActions, admissionregistrationv1.Deny) && slices.Contains(s.ValidationActions, admissionregistrationv1.Warn) {
		errs = append(errs, field.Invalid(at, s.ValidationActions, "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"))
	}
	return errs
}

func validateMutatingPolicy(o, old *admissionregistrationv1.MutatingAdmissionPolicy) field.ErrorList {
	s := &o.Spec
	x := expressions{params: s.ParamKind != nil, variables: true, before: mutatingPolicyBefore(o, old)}
	errs := validateFailure(s.FailurePolicy, specPath)
	errs = append(errs, validateParamKind(s.ParamKind, specPath.Child("paramKind"))...)
	errs = append(errs, validateMatch(s.MatchConstraints, specPath.Child("matchConstraints"), true)...)
	errs = append(errs, validateMutable(s.MatchConstraints, specPath.Child("matchConstraints", "resourceRules", "operations"))...)
	errs = append(errs, x.conditions(s.MatchConditions, specPath.Child("matchConditions"))...)
	for i := range s.Variables {
		errs = append(errs, x.variable(&s.Variables[i], specPath.Child("variables").Index(i))...)
	}
	if len(s.Mutations) == 0 {
		errs = append(errs, field.Required(specPath.Child("mutations"), "mutations must contain at least one item"))
	}
	for i := range s.Mutations {
		errs = append(errs, x.mutation(&s.Mutations[i], specPath.Child("mutations").Index(i))...)
	}
	reinvoke := []admissionregistrationv1.ReinvocationPolicyType{admissionregistrationv1.IfNeededReinvocationPolicy, admissionregistrationv1.NeverReinvocationPolicy}
	if s.ReinvocationPolicy == "" {
		errs = append(errs, field.Required(specPath.Child("reinvocationPolicy"), ""))
	} else if !slices.Contains(reinvoke, s.ReinvocationPolicy) {
		errs = append(errs, field.NotSupported(specPath.Child("reinvocationPolicy"), s.ReinvocationPolicy, reinvoke))
	}
	return errs
}

// validateMutable refuses operations whose objects cannot be changed, of which deletions are one.
func validateMutable(m *admissionregistrationv1.MatchResources, at *field.Path) field.ErrorList {
	if m == nil {
		return nil
	}
	var errs field.ErrorList
	mutable := slices.DeleteFunc(slices.Clone(operations), func(o admissionregistrationv1.OperationType) bool { return o == admissionregistrationv1.Delete })
	for i := range m.ResourceRules {
		for _, o := range m.ResourceRules[i].Operations {
			if !slices.Contains(mutable, o) {
				errs = append(errs, field.NotSupported(at, o, mutable))
			}
		}
	}
	return errs
}

func (x *expressions) mutation(m *admissionregistrationv1.Mutation, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	apply, patch := at.Child("applyConfiguration"), at.Child("jsonPatch")
	switch m.PatchType {
	case admissionregistrationv1.PatchTypeApplyConfiguration:
		if m.JSONPatch != nil {
			errs = append(errs, field.Invalid(patch, "{jsonPatch}", "must not be specified when patchType is ApplyConfiguration"))
		}
		if m.ApplyConfiguration == nil {
			return append(errs, field.Required(apply, "must be specified when patchType is ApplyConfiguration"))
		}
		return append(errs, x.patch(m.ApplyConfiguration.Expression, cel.ApplyConfiguration, apply)...)
	case admissionregistrationv1.PatchTypeJSONPatch:
		if m.ApplyConfiguration != nil {
			errs = append(errs, field.Invalid(apply, "{applyConfiguration}", "must not be specified when patchType is JSONPatch"))
		}
		if m.JSONPatch == nil {
			return append(errs, field.Required(patch, "must be specified when patchType is JSONPatch"))
		}
		return append(errs, x.patch(m.JSONPatch.Expression, cel.JSONPatch, patch)...)
	case "":
		return field.ErrorList{field.Required(at.Child("patchType"), "")}
	}
	return field.ErrorList{field.NotSupported(at.Child("patchType"), m.PatchType, []admissionregistrationv1.PatchType{admissionregistrationv1.PatchTypeApplyConfiguration, admissionregistrationv1.PatchTypeJSONPatch})}
}

func validateMutatingBinding(o *admissionregistrationv1.MutatingAdmissionPolicyBinding) field.ErrorList {
	errs := validatePolicyName(o.Spec.PolicyName)
	errs = append(errs, validateParamRef(o.Spec.ParamRef, specPath.Child("paramRef"))...)
	return append(errs, validateMatch(o.Spec.MatchResources, specPath.Child("matchResources"), false)...)
}

func paramKindText(k *admissionregistrationv1.ParamKind) string {
	if k == nil {
		return "<unset>"
	}
	return k.APIVersion + "/" + k.Kind
}

func paramRefText(r *admissionregistrationv1.ParamRef) string {
	switch {
	case r == nil:
		return "<unset>"
	case r.Selector != nil:
		// compat: as Go prints it.
		return r.Selector.String()
	case r.Namespace == "":
		return "*/" + r.Name
	}
	return r.Namespace + "/" + r.Name
}

// validatePolicyStatus checks what is told of a policy, and that what is told of an expression says which.
func validatePolicyStatus(next, _ *admissionregistrationv1.ValidatingAdmissionPolicy) field.ErrorList {
	at := field.NewPath("status")
	errs := metavalidation.ValidateConditions(next.Status.Conditions, at.Child("conditions"))
	if next.Status.TypeChecking == nil {
		return errs
	}
	for i, w := range next.Status.TypeChecking.ExpressionWarnings {
		idx := at.Child("typeChecking", "expressionWarnings").Index(i)
		if w.Warning == "" {
			errs = append(errs, field.Required(idx.Child("warning"), ""))
		}
		if w.FieldRef == "" {
			errs = append(errs, field.Required(idx.Child("fieldRef"), ""))
		} else if err := jsonpath.New("spec").Parse("{" + w.FieldRef + "}"); err != nil {
			errs = append(errs, field.Invalid(idx.Child("fieldRef"), w.FieldRef, "invalid JSONPath: "+err.Error()))
		}
	}
	return errs
}
