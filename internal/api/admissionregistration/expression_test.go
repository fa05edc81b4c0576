package admissionregistration

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func match() *admissionregistrationv1.MatchResources {
	m := &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{"CREATE"},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
	}}}}
	defaultMatch(m)
	return m
}

func policy(edit func(*admissionregistrationv1.ValidatingAdmissionPolicySpec)) *admissionregistrationv1.ValidatingAdmissionPolicy {
	o := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "a.example.com"}}
	o.Spec.MatchConstraints = match()
	o.Spec.Validations = []admissionregistrationv1.Validation{{Expression: "true"}}
	edit(&o.Spec)
	return o
}

func mutatingPolicy(edit func(*admissionregistrationv1.MutatingAdmissionPolicySpec)) *admissionregistrationv1.MutatingAdmissionPolicy {
	o := &admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "a.example.com"}}
	o.Spec.MatchConstraints = match()
	o.Spec.ReinvocationPolicy = admissionregistrationv1.NeverReinvocationPolicy
	o.Spec.Mutations = []admissionregistrationv1.Mutation{apply("Object{}")}
	edit(&o.Spec)
	return o
}

func apply(expression string) admissionregistrationv1.Mutation {
	return admissionregistrationv1.Mutation{PatchType: admissionregistrationv1.PatchTypeApplyConfiguration,
		ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{Expression: expression}}
}

func patch(expression string) admissionregistrationv1.Mutation {
	return admissionregistrationv1.Mutation{PatchType: admissionregistrationv1.PatchTypeJSONPatch,
		JSONPatch: &admissionregistrationv1.JSONPatch{Expression: expression}}
}

func webhooks(edit func(*admissionregistrationv1.ValidatingWebhook)) *admissionregistrationv1.ValidatingWebhookConfiguration {
	url, none := "https://example.com", admissionregistrationv1.SideEffectClassNone
	w := admissionregistrationv1.ValidatingWebhook{Name: "a.example.com", SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
		ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &url}}
	validating(&w).setDefaults()
	edit(&w)
	return &admissionregistrationv1.ValidatingWebhookConfiguration{Webhooks: []admissionregistrationv1.ValidatingWebhook{w}}
}

func expect(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, e := range errs {
		got = append(got, e.Error())
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("- wanted, + got\n%s", d)
	}
}

type (
	spec        = *admissionregistrationv1.ValidatingAdmissionPolicySpec
	mutatedSpec = *admissionregistrationv1.MutatingAdmissionPolicySpec
	conditions  = []admissionregistrationv1.MatchCondition
	variables   = []admissionregistrationv1.Variable
	validations = []admissionregistrationv1.Validation
	annotations = []admissionregistrationv1.AuditAnnotation
)

var configMaps = &admissionregistrationv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"}

// undeclared is what is said of the first word of an expression.
func undeclared(at, text, word string) string {
	return at + `: Invalid value: "` + text + `": compilation failed: ERROR: <input>:1:1: undeclared reference to '` + word + `' (in container '')` + "\n | " + text + "\n | ^"
}

func TestExpressionsOfValidatingPolicies(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(spec)
		want []string
	}{
		"condition": {func(s spec) {
			s.MatchConditions = conditions{{Name: "a", Expression: " object.a == 1 && authorizer.requestResource.check('get').allowed()\n"}}
		}, nil},
		"condition of no bool": {func(s spec) { s.MatchConditions = conditions{{Name: "a", Expression: " 1 "}} },
			[]string{`spec.matchConditions[0].expression: Invalid value: "1": must evaluate to bool but got int`}},
		"condition with params": {func(s spec) {
			s.ParamKind, s.MatchConditions = configMaps, conditions{{Name: "a", Expression: "params.a == 1"}}
		}, nil},
		"condition with params without a kind": {func(s spec) { s.MatchConditions = conditions{{Name: "a", Expression: "params.a"}} }, []string{undeclared("spec.matchConditions[0].expression", "params.a", "params")}},
		"condition with a variable": {func(s spec) {
			s.Variables, s.MatchConditions = variables{{Name: "v", Expression: "true"}}, conditions{{Name: "a", Expression: "variables.v"}}
		}, []string{undeclared("spec.matchConditions[0].expression", "variables.v", "variables")}},
		"variables in a chain": {func(s spec) {
			s.Variables = variables{{Name: "a", Expression: "1"}, {Name: "b", Expression: "variables.a + 1"}}
			s.Validations = validations{{Expression: "variables.b > 1", MessageExpression: "string(variables.b)"}}
			s.AuditAnnotations = annotations{{Key: "k", ValueExpression: "variables.b == 2 ? 'two' : null"}}
		}, []string{
			// compat: the branches have no type in common.
			"spec.auditAnnotations[0].valueExpression: Invalid value: \"variables.b == 2 ? 'two' : null\": compilation failed: ERROR: <input>:1:18: found no matching overload for '_?_:_' applied to '(bool, string, null)'\n | variables.b == 2 ? 'two' : null\n | .................^"}},
		"variable before its turn": {func(s spec) {
			s.Variables = variables{{Name: "a", Expression: "variables.b"}, {Name: "b", Expression: "1"}}
		}, []string{"spec.variables[0].expression: Invalid value: \"variables.b\": compilation failed: ERROR: <input>:1:10: undefined field 'b'\n | variables.b\n | .........^"}},
		"variable without anything": {func(s spec) { s.Variables = variables{{Name: " ", Expression: " "}} },
			[]string{"spec.variables[0].name: Required value: name is not specified", "spec.variables[0].expression: Required value: expression is not specified"}},
		"variable of a keyword": {func(s spec) { s.Variables = variables{{Name: "for", Expression: "1"}} }, []string{`spec.variables[0].name: Invalid value: "for": must be a valid CEL identifier`}},
		"no bool":               {func(s spec) { s.Validations[0].Expression = "'a'" }, []string{`spec.validations[0].expression: Invalid value: "'a'": must evaluate to bool but got string`}},
		"dynamic":               {func(s spec) { s.Validations[0].Expression = "object.a" }, []string{`spec.validations[0].expression: Invalid value: "object.a": must evaluate to bool but got dyn`}},
		"blank":                 {func(s spec) { s.Validations[0].Expression = " \n" }, []string{"spec.validations[0].expression: Required value: expression is not specified"}},
		"params":                {func(s spec) { s.ParamKind, s.Validations[0].Expression = configMaps, "params.a == 1" }, nil},
		"params without a kind": {func(s spec) { s.Validations[0].Expression = "params.a" }, []string{undeclared("spec.validations[0].expression", "params.a", "params")}},
		"patch":                 {func(s spec) { s.Validations[0].Expression = "Object{} == object" }, []string{"spec.validations[0].expression: Invalid value: \"Object{} == object\": compilation failed: ERROR: <input>:1:7: undeclared reference to 'Object' (in container '')\n | Object{} == object\n | ......^"}},
		"message":               {func(s spec) { s.ParamKind, s.Validations[0].MessageExpression = configMaps, "'a' + params.a" }, nil},
		"message of a number":   {func(s spec) { s.Validations[0].MessageExpression = "1" }, []string{`spec.validations[0].messageExpression: Invalid value: "1": must evaluate to string but got int`}},
		"message that asks":     {func(s spec) { s.Validations[0].MessageExpression = "authorizer.path('/')" }, []string{undeclared("spec.validations[0].messageExpression", "authorizer.path('/')", "authorizer")}},
		"blank messages": {func(s spec) { s.Validations[0].Message, s.Validations[0].MessageExpression = " ", " " },
			[]string{`spec.validations[0].messageExpression: Invalid value: " ": must be non-empty if specified`, `spec.validations[0].message: Invalid value: " ": must be non-empty if specified`}},
		"message of two lines":  {func(s spec) { s.Validations[0].Message = "a\nb" }, []string{`spec.validations[0].message: Invalid value: "a\nb": must not contain line breaks`}},
		"message and a newline": {func(s spec) { s.Validations[0].Message = "a\n" }, nil},
		"annotations": {func(s spec) {
			s.AuditAnnotations = annotations{{Key: "k", ValueExpression: "'a'"}, {Key: "l", ValueExpression: "null"}}
		}, nil},
		"annotation of a number": {func(s spec) { s.AuditAnnotations = annotations{{Key: "k", ValueExpression: "1"}} },
			[]string{`spec.auditAnnotations[0].valueExpression: Invalid value: "1": must evaluate to one of [string null_type] but got int`}},
		"annotation without a value": {func(s spec) { s.AuditAnnotations = annotations{{Key: "k", ValueExpression: " "}} }, []string{"spec.auditAnnotations[0].valueExpression: Required value: valueExpression is not specified"}},
		"long annotation": {func(s spec) {
			s.AuditAnnotations = annotations{{Key: "k", ValueExpression: "'" + strings.Repeat("a", 5*1024) + "'"}}
		}, []string{"spec.auditAnnotations[0].valueExpression: Required value: must not exceed 5120 bytes in length"}},
		"annotations twice": {func(s spec) {
			s.AuditAnnotations = annotations{{Key: "k", ValueExpression: "'a'"}, {Key: "k", ValueExpression: "'a'"}}
		},
			[]string{`spec.auditAnnotations[1].key: Duplicate value: "k"`}},
		"annotation of a bad key": {func(s spec) { s.AuditAnnotations = annotations{{Key: "a b", ValueExpression: "'a'"}} },
			[]string{`spec.auditAnnotations[0].key: Invalid value: "a.example.com/a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`}},
	} {
		t.Run(name, func(t *testing.T) { expect(t, validatePolicy(policy(c.edit), nil), c.want...) })
	}
}

func TestExpressionsOfMutatingPolicies(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(mutatedSpec)
		want []string
	}{
		"apply": {func(s mutatedSpec) {
			s.Mutations = []admissionregistrationv1.Mutation{apply("Object{metadata: Object.metadata{labels: {'a': variables.v}}}")}
			s.Variables = variables{{Name: "v", Expression: "params.data.a"}}
			s.ParamKind = configMaps
		}, nil},
		"apply of a map": {func(s mutatedSpec) { s.Mutations = []admissionregistrationv1.Mutation{apply("{'a': 'b'}")} },
			[]string{`spec.mutations[0].applyConfiguration.expression: Invalid value: "{'a': 'b'}": must evaluate to Object but got map(string, string)`}},
		"apply of nothing": {func(s mutatedSpec) { s.Mutations = []admissionregistrationv1.Mutation{apply(" ")} },
			[]string{"spec.mutations[0].applyConfiguration.expression: Required value"}},
		"patch": {func(s mutatedSpec) {
			s.Mutations = []admissionregistrationv1.Mutation{patch("[JSONPatch{op: 'add', path: '/a/' + jsonpatch.escapeKey('b/c'), value: 1}]")}
		}, nil},
		"patch of no list": {func(s mutatedSpec) { s.Mutations = []admissionregistrationv1.Mutation{patch("JSONPatch{op: 'add'}")} },
			[]string{`spec.mutations[0].jsonPatch.expression: Invalid value: "JSONPatch{op: 'add'}": must evaluate to list(JSONPatch) but got JSONPatch`}},
		"patch of an unknown variable": {func(s mutatedSpec) { s.Mutations = []admissionregistrationv1.Mutation{patch("variables.a")} },
			[]string{"spec.mutations[0].jsonPatch.expression: Invalid value: \"variables.a\": compilation failed: ERROR: <input>:1:10: undefined field 'a'\n | variables.a\n | .........^"}},
		"both": {func(s mutatedSpec) { s.Mutations[0].JSONPatch = &admissionregistrationv1.JSONPatch{Expression: "x"} },
			[]string{`spec.mutations[0].jsonPatch: Invalid value: "{jsonPatch}": must not be specified when patchType is ApplyConfiguration`}},
		"condition": {func(s mutatedSpec) { s.MatchConditions = conditions{{Name: "a", Expression: "nope"}} }, []string{undeclared("spec.matchConditions[0].expression", "nope", "nope")}},
	} {
		t.Run(name, func(t *testing.T) { expect(t, validateMutatingPolicy(mutatingPolicy(c.edit), nil), c.want...) })
	}
}

func TestExpressionsOfWebhooks(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"good":      {"request.operation == 'CREATE' && !authorizer.group('a').resource('b').check('get').allowed()", nil},
		"no bool":   {"request.name", []string{`webhooks[0].matchConditions[0].expression: Invalid value: "request.name": must evaluate to bool but got string`}},
		"params":    {"params.a", []string{undeclared("webhooks[0].matchConditions[0].expression", "params.a", "params")}},
		"variables": {"variables.a", []string{undeclared("webhooks[0].matchConditions[0].expression", "variables.a", "variables")}},
		"syntax":    {"object.", []string{"webhooks[0].matchConditions[0].expression: Invalid value: \"object.\": compilation failed: ERROR: <input>:1:8: Syntax error: no viable alternative at input '.'\n | object.\n | .......^"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := webhooks(func(w *admissionregistrationv1.ValidatingWebhook) {
				w.MatchConditions = conditions{{Name: "a", Expression: c.text}}
			})
			expect(t, validateValidatingWebhooks(o, before{}), c.want...)
		})
	}
}

// What was stored when it compiled, or was not compiled, does not get in the way of other changes.
func TestExpressionsThatWereThere(t *testing.T) {
	bad := func(s spec) {
		s.MatchConditions = conditions{{Name: "a", Expression: "nope"}}
		s.Variables = variables{{Name: "v", Expression: "nope"}}
		s.Validations = validations{{Expression: "nope", MessageExpression: "nope"}}
		s.AuditAnnotations = annotations{{Key: "k", ValueExpression: "nope"}}
	}
	with := func(edit func(spec)) *admissionregistrationv1.ValidatingAdmissionPolicy {
		return policy(func(s spec) { bad(s); edit(s) })
	}
	ignore := admissionregistrationv1.Ignore
	condition0, validation0 := undeclared("spec.matchConditions[0].expression", "nope", "nope"), undeclared("spec.validations[0].expression", "nope", "nope")
	rest := []string{
		undeclared("spec.variables[0].expression", "nope", "nope"), validation0,
		undeclared("spec.validations[0].messageExpression", "nope", "nope"), undeclared("spec.auditAnnotations[0].valueExpression", "nope", "nope"),
	}
	expect(t, validatePolicy(with(func(spec) {}), policy(bad)))
	expect(t, validatePolicy(with(func(s spec) { s.FailurePolicy = &ignore }), policy(bad)))
	expect(t, validatePolicy(with(func(s spec) { s.MatchConditions = nil }), policy(bad)))
	expect(t, validatePolicy(with(func(s spec) { s.MatchConditions[0].Name = "b" }), policy(bad)), condition0)
	expect(t, validatePolicy(with(func(s spec) { s.Validations[0].Message = "a" }), policy(bad)), rest...)
	expect(t, validatePolicy(with(func(s spec) { s.ParamKind = configMaps }), policy(bad)), append([]string{condition0}, rest...)...)

	was := mutatingPolicy(func(s mutatedSpec) { s.Mutations[0] = apply("nope") })
	is := was.DeepCopy()
	is.Spec.FailurePolicy = &ignore
	expect(t, validateMutatingPolicy(is, was))
	is.Spec.Mutations = append(is.Spec.Mutations, apply("Object{}"))
	expect(t, validateMutatingPolicy(is, was), undeclared("spec.mutations[0].applyConfiguration.expression", "nope", "nope"))

	old := webhooks(func(w *admissionregistrationv1.ValidatingWebhook) {
		w.MatchConditions = conditions{{Name: "a", Expression: "nope"}}
	})
	next := old.DeepCopy()
	next.Webhooks[0].FailurePolicy = &ignore
	expect(t, ValidatingWebhookConfiguration.ValidateUpdate(next, old))
	next.Webhooks[0].MatchConditions[0].Name = "b"
	expect(t, ValidatingWebhookConfiguration.ValidateUpdate(next, old), undeclared("webhooks[0].matchConditions[0].expression", "nope", "nope"))
}
