package custom

import (
	"slices"
	"strings"
	"testing"
)

func TestRules(t *testing.T) {
	rule := func(s string) string {
		return "spec: {type: object, properties: {min: {type: integer}, max: {type: integer}, name: {type: string, maxLength: 20}, l: {type: array, maxItems: 10, items: {type: string, maxLength: 10}}}, x-kubernetes-validations: [" + s + "]}"
	}
	for _, c := range []struct {
		name, schema, old, next string // no old: the object is new
		errs                    []string
	}{
		{"kept", rule(`{rule: "self.min <= self.max"}`), ``, `spec: {min: 1, max: 2}`, nil},
		{"broken", rule(`{rule: "self.min <= self.max"}`), ``, `spec: {min: 2, max: 1}`, []string{`FieldValueInvalid spec: Invalid value: failed rule: self.min <= self.max`}},
		{"message", rule(`{rule: "self.min <= self.max", message: "min is above max"}`), ``, `spec: {min: 2, max: 1}`, []string{`FieldValueInvalid spec: Invalid value: min is above max`}},
		{"messageExpression", rule(`{rule: "self.min <= self.max", messageExpression: "'min ' + string(self.min) + ' is above ' + string(self.max)"}`), ``, `spec: {min: 2, max: 1}`, []string{`FieldValueInvalid spec: Invalid value: min 2 is above 1`}},
		{"messageExpression that fails", rule(`{rule: "self.min <= self.max", message: "no", messageExpression: "string(1 / (self.max - 1))"}`), ``, `spec: {min: 2, max: 1}`, []string{`FieldValueInvalid spec: Invalid value: no`}},
		{"reason", rule(`{rule: "self.min <= self.max", message: "no", reason: FieldValueForbidden}`), ``, `spec: {min: 2, max: 1}`, []string{`FieldValueForbidden spec: Forbidden: no`}},
		{"reason required", rule(`{rule: "has(self.name)", message: "say it", reason: FieldValueRequired, fieldPath: .name}`), ``, `spec: {min: 2}`, []string{`FieldValueRequired spec.name: Required value: say it`}},
		{"reason duplicate", rule(`{rule: "self.min != self.max", reason: FieldValueDuplicate, fieldPath: .max}`), ``, `spec: {min: 2, max: 2}`, []string{`FieldValueDuplicate spec.max: Duplicate value`}},
		{"fieldPath", rule(`{rule: "self.min <= self.max", message: "no", fieldPath: .min}`), ``, `spec: {min: 2, max: 1}`, []string{`FieldValueInvalid spec.min: Invalid value: no`}},
		{"no such key", rule(`{rule: "self.min <= self.max"}`), ``, `spec: {min: 2}`, []string{`FieldValueInvalid spec: Invalid value: no such key: max evaluating rule: self.min <= self.max`}},
		{"not without the object", rule(`{rule: "self.min <= self.max"}`), ``, `{}`, nil},
		{"blocked", rule(`{rule: "self.min <= self.max"}`), ``, `spec: {min: x, max: 1}`, []string{
			`FieldValueInvalid <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation`,
			`FieldValueTypeInvalid spec.min: Invalid value: "string": spec.min in body must be of type integer: "string"`}},

		{"transition, new", rule(`{rule: "self.min >= oldSelf.min", message: "only up"}`), ``, `spec: {min: 1}`, nil},
		{"transition, kept", rule(`{rule: "self.min >= oldSelf.min", message: "only up"}`), `spec: {min: 1}`, `spec: {min: 2}`, nil},
		{"transition, broken", rule(`{rule: "self.min >= oldSelf.min", message: "only up"}`), `spec: {min: 2}`, `spec: {min: 1}`, []string{`FieldValueInvalid spec: Invalid value: only up`}},
		{"optionalOldSelf, new", rule(`{rule: "oldSelf.hasValue() || self.min == 0", optionalOldSelf: true, message: "starts at 0"}`), ``, `spec: {min: 1}`, []string{`FieldValueInvalid spec: Invalid value: starts at 0`}},
		{"optionalOldSelf, old", rule(`{rule: "oldSelf.hasValue() || self.min == 0", optionalOldSelf: true, message: "starts at 0"}`), `spec: {min: 0}`, `spec: {min: 1}`, nil},
		{"ratcheted", rule(`{rule: "self.min <= self.max", message: "no"}`), `{spec: {min: 2, max: 1}}`, `{metadata: {name: w, namespace: ns, labels: {a: b}}, spec: {min: 2, max: 1}}`, nil},
		{"not ratcheted", rule(`{rule: "self.min <= self.max", message: "no"}`), `{spec: {min: 2, max: 1}}`, `{spec: {min: 3, max: 1}}`, []string{`FieldValueInvalid spec: Invalid value: no`}},

		{"of metadata", `spec: {type: object}`, ``, `{}`, nil},
		{"too dear", `l: {type: array, items: {type: string}, x-kubernetes-validations: [{rule: "self.all(x, self.all(y, self.all(z, x == y && y == z)))"}]}`, ``, `l: [` + strings.Repeat("x, ", 300) + `x]`,
			[]string{`FieldValueInvalid l: Invalid value: "array": 'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: self.all(x, self.all(y, self.all(z, x == y && y == z)))`}},
		{"of an item", `l: {type: array, items: {type: object, properties: {a: {type: integer}}, x-kubernetes-validations: [{rule: "self.a > 0", message: "no"}]}}`, ``, `l: [{a: 1}, {a: 0}]`, []string{`FieldValueInvalid l[1]: Invalid value: no`}},
		{"of a value", `m: {type: object, additionalProperties: {type: string, x-kubernetes-validations: [{rule: "self.startsWith('x')", message: "no"}]}}`, ``, `m: {a: xx, b: zz}`, []string{`FieldValueInvalid m[b]: Invalid value: no`}},
		{"in allOf alone", `spec: {type: object, properties: {a: {type: integer}}, allOf: [{x-kubernetes-validations: [{rule: "self.a > 0", message: "no"}]}]}`, ``, `spec: {a: 0}`, nil},
		{"in allOf", `
other: {type: string, x-kubernetes-validations: [{rule: "true"}]}
spec: {type: object, properties: {a: {type: integer}}, allOf: [{x-kubernetes-validations: [{rule: "self.a > 0", message: "no"}]}]}`, ``, `spec: {a: 0}`, []string{`FieldValueInvalid spec: Invalid value: no`}},
		{"quantities", `q: {type: string, x-kubernetes-validations: [{rule: "isQuantity(self) && quantity(self).isGreaterThan(quantity('1Gi'))", message: "no"}]}`, ``, `q: 2Gi`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := made(define(t, c.schema, withStatus)).Versions["v1"]
			errs := func() []string {
				if c.old == "" {
					return told(v.Validate(t.Context(), widget(t, c.next)))
				}
				return told(v.ValidateUpdate(t.Context(), widget(t, c.next), widget(t, c.old)))
			}()
			if len(errs) != len(c.errs) || !slices.EqualFunc(errs, c.errs, similar) {
				t.Errorf("\n%s\nwant\n%s", strings.Join(errs, "\n"), strings.Join(c.errs, "\n"))
			}
		})
	}
}

// similar leaves out the value, which is long and said elsewhere.
func similar(got, want string) bool {
	if got == want {
		return true
	}
	head, rest, ok := strings.Cut(want, "Invalid value: ")
	return ok && strings.HasPrefix(got, head) && strings.HasSuffix(got, rest)
}

// The name is not known to the schema, but it is to rules at the root.
func TestRulesAtRoot(t *testing.T) {
	crd := define(t, `spec: {type: object, properties: {a: {type: string}}}`, withStatus)
	props := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	rules := define(t, `x: {type: object, x-kubernetes-validations: [{rule: "self.metadata.name.startsWith('w')", message: "no w"}]}`)
	props.XValidations = rules.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["x"].XValidations
	v := made(crd).Versions["v1"]
	if errs := v.Validate(t.Context(), widget(t, `{}`)); len(errs) > 0 {
		t.Error(errs)
	}
	bad := widget(t, `metadata: {name: x, namespace: ns}`)
	if got := told(v.Validate(t.Context(), bad)); len(got) != 1 || !strings.HasSuffix(got[0], ": no w") {
		t.Error(got)
	}
	// A missing name blocks the rules, and is told by whoever looks at metadata.
	bad = widget(t, `metadata: {namespace: ns}`)
	if got := told(v.Validate(t.Context(), bad)); len(got) != 1 || !strings.Contains(got[0], "some validation rules were not checked") {
		t.Error(got)
	}
	if got := told(v.ValidateStatus(t.Context(), widget(t, `metadata: {name: x, namespace: ns}`), widget(t, `{}`))); len(got) != 1 {
		t.Error(got)
	}
}

func TestRulesThatDoNotCompile(t *testing.T) {
	v := made(define(t, `spec: {type: object, x-kubernetes-validations: [{rule: "self.nothing == 1"}]}`)).Versions["v1"]
	got := told(v.Validate(t.Context(), widget(t, `spec: {}`)))
	if len(got) != 1 || !strings.Contains(got[0], "rule compile error: compilation failed:") || !strings.Contains(got[0], "undefined field 'nothing'") {
		t.Error(got)
	}
}
