package custom

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateCase is a schema, a value that fits, and one that does not with what is said of it.
type validateCase struct {
	name, schema, good, bad string
	errs                    []string
}

func told(errs field.ErrorList) (out []string) {
	for _, e := range errs {
		out = append(out, string(e.Type)+" "+e.Error())
	}
	slices.Sort(out)
	return out
}

var validateCases = []validateCase{
	{"type string", `a: {type: string}`, `a: x`, `a: 1`, []string{`FieldValueTypeInvalid a: Invalid value: "integer": a in body must be of type string: "integer"`}},
	{"type integer", `a: {type: integer}`, `a: 3.0`, `a: 1.5`, []string{
		`FieldValueInvalid <nil>: Invalid value: "": Checked value must be of type integer (default format) in a`,
		`FieldValueTypeInvalid a: Invalid value: "number": a in body must be of type integer: "number"`}},
	{"type number", `a: {type: number}`, `a: 1`, `a: "1"`, []string{`FieldValueTypeInvalid a: Invalid value: "string": a in body must be of type number: "string"`}},
	{"type boolean", `a: {type: boolean}`, `a: true`, `a: "true"`, []string{`FieldValueTypeInvalid a: Invalid value: "string": a in body must be of type boolean: "string"`}},
	{"type object", `a: {type: object}`, `a: {}`, `a: []`, []string{`FieldValueTypeInvalid a: Invalid value: "array": a in body must be of type object: "array"`}},
	{"type array", `a: {type: array, items: {type: string}}`, `a: []`, `a: {}`, []string{`FieldValueTypeInvalid a: Invalid value: "object": a in body must be of type array: "object"`}},
	{"items", `a: {type: array, items: {type: string}}`, `a: [x]`, `a: [x, 1]`, []string{`FieldValueTypeInvalid a[1]: Invalid value: "integer": a[1] in body must be of type string: "integer"`}},
	{"additionalProperties", `a: {type: object, additionalProperties: {type: string}}`, `a: {b: x}`, `a: {b: 1}`, []string{`FieldValueTypeInvalid a.b: Invalid value: "integer": a.b in body must be of type string: "integer"`}},
	{"null", `a: {type: string, nullable: true}
b: {type: string}`, `a: null`, `b: null`, []string{`FieldValueTypeInvalid b: Invalid value: "null": b in body must be of type string: "null"`}},
	{"int or string", `a: {x-kubernetes-int-or-string: true}`, `a: 80%`, `a: 1.5`, []string{`FieldValueTypeInvalid a: Invalid value: "number": a in body must be of type integer,string: "number"`}},
	{"int or string, again", `a: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}`, `a: 80`, `a: true`, []string{
		`FieldValueInvalid <nil>: Invalid value: "": "a" must validate at least one schema (anyOf)`,
		`FieldValueTypeInvalid a: Invalid value: "boolean": a in body must be of type integer,string: "boolean"`,
		`FieldValueTypeInvalid a: Invalid value: "boolean": a in body must be of type integer: "boolean"`}},
	{"int or string with a pattern", `a: {x-kubernetes-int-or-string: true, pattern: '^\d+%?$'}`, `a: 80%`, `a: x`, []string{`FieldValueInvalid a: Invalid value: "x": a in body should match '^\d+%?$'`}},
	{"required", `a: {type: object, required: [b], properties: {b: {type: string}}}`, `a: {b: ""}`, `a: {}`, []string{`FieldValueRequired a.b: Required value`}},
	{"enum", `a: {type: string, enum: [x, z]}`, `a: z`, `a: w`, []string{`FieldValueNotSupported a: Unsupported value: "w": supported values: "x", "z"`}},
	{"enum of numbers", `a: {type: integer, enum: [1, 2]}`, `a: 2`, `a: 3`, []string{`FieldValueNotSupported a: Unsupported value: 3: supported values: "1", "2"`}},
	{"minLength", `a: {type: string, minLength: 2}`, `a: éé`, `a: é`, []string{`FieldValueInvalid a: Invalid value: "é": a in body should be at least 2 chars long`}},
	{"maxLength", `a: {type: string, maxLength: 2}`, `a: éé`, `a: abc`, []string{`FieldValueTooLong a: Too long: may not be more than 2 bytes`}},
	{"pattern", `a: {type: string, pattern: '^[a-z]+$'}`, `a: abc`, `a: A`, []string{`FieldValueInvalid a: Invalid value: "A": a in body should match '^[a-z]+$'`}},
	{"minimum", `a: {type: integer, minimum: 1}`, `a: 1`, `a: 0`, []string{`FieldValueInvalid a: Invalid value: 0: a in body should be greater than or equal to 1`}},
	{"minimum of a number", `a: {type: number, minimum: 0.5}`, `a: 0.5`, `a: 0.4`, []string{`FieldValueInvalid a: Invalid value: 0.4: a in body should be greater than or equal to 0.5`}},
	{"exclusiveMinimum", `a: {type: integer, minimum: 1, exclusiveMinimum: true}`, `a: 2`, `a: 1`, []string{`FieldValueInvalid a: Invalid value: 1: a in body should be greater than 1`}},
	{"maximum", `a: {type: integer, maximum: 9}`, `a: 9`, `a: 10`, []string{`FieldValueInvalid a: Invalid value: 10: a in body should be less than or equal to 9`}},
	{"exclusiveMaximum", `a: {type: integer, maximum: 9, exclusiveMaximum: true}`, `a: 8`, `a: 9`, []string{`FieldValueInvalid a: Invalid value: 9: a in body should be less than 9`}},
	{"multipleOf", `a: {type: integer, multipleOf: 5}`, `a: 10`, `a: 7`, []string{`FieldValueInvalid a: Invalid value: 7: a in body should be a multiple of 5`}},
	{"minItems", `a: {type: array, minItems: 1, items: {type: string}}`, `a: [x]`, `a: []`, []string{`FieldValueInvalid a: Invalid value: 0: a in body should have at least 1 items`}},
	{"maxItems", `a: {type: array, maxItems: 1, items: {type: string}}`, `a: [x]`, `a: [x, z]`, []string{`FieldValueTooMany a: Too many: 2: must have at most 1 item`}},
	{"minProperties", `a: {type: object, minProperties: 1, additionalProperties: {type: string}}`, `a: {b: x}`, `a: {}`, []string{`FieldValueInvalid a: Invalid value: 0: a in body should have at least 1 properties`}},
	{"maxProperties", `a: {type: object, maxProperties: 1, additionalProperties: {type: string}}`, `a: {b: x}`, `a: {b: x, c: x}`, []string{`FieldValueTooMany a: Too many: 2: must have at most 1 item`}},
	{"format int32", `a: {type: integer, format: int32}`, `a: 2147483647`, `a: 2147483648`, []string{`FieldValueInvalid <nil>: Invalid value: "": Checked value must be of type integer with format int32 in a`}},
	{"format ipv4", `a: {type: string, format: ipv4}`, `a: 10.0.0.1`, `a: x`, []string{`FieldValueTypeInvalid a: Invalid value: "x": a in body must be of type ipv4: "x"`}},
	{"format ipv6", `a: {type: string, format: ipv6}`, `a: "::1"`, `a: 10.0.0.1`, []string{`FieldValueTypeInvalid a: Invalid value: "10.0.0.1": a in body must be of type ipv6: "10.0.0.1"`}},
	{"format cidr", `a: {type: string, format: cidr}`, `a: 10.0.0.0/8`, `a: 10.0.0.1`, []string{`FieldValueTypeInvalid a: Invalid value: "10.0.0.1": a in body must be of type cidr: "10.0.0.1"`}},
	{"format date-time", `a: {type: string, format: date-time}`, `a: "2026-01-02T03:04:05Z"`, `a: today`, []string{`FieldValueTypeInvalid a: Invalid value: "today": a in body must be of type date-time: "today"`}},
	{"format date", `a: {type: string, format: date}`, `a: "2026-01-02"`, `a: "2026"`, []string{`FieldValueTypeInvalid a: Invalid value: "2026": a in body must be of type date: "2026"`}},
	{"format duration", `a: {type: string, format: duration}`, `a: 5m`, `a: soon`, []string{`FieldValueTypeInvalid a: Invalid value: "soon": a in body must be of type duration: "soon"`}},
	{"format uuid", `a: {type: string, format: uuid}`, `a: 4c8b5e4a-31a6-4e6f-9d0c-1d2b3c4d5e6f`, `a: x`, []string{`FieldValueTypeInvalid a: Invalid value: "x": a in body must be of type uuid: "x"`}},
	{"format byte", `a: {type: string, format: byte}`, `a: aGVsbG8=`, `a: "%"`, []string{`FieldValueTypeInvalid a: Invalid value: "%": a in body must be of type byte: "%"`}},
	{"format email", `a: {type: string, format: email}`, `a: a@example.com`, `a: x`, []string{`FieldValueTypeInvalid a: Invalid value: "x": a in body must be of type email: "x"`}},
	{"format hostname", `a: {type: string, format: hostname}`, `a: example.com`, `a: "-x-"`, []string{`FieldValueTypeInvalid a: Invalid value: "-x-": a in body must be of type hostname: "-x-"`}},
	{"format uri", `a: {type: string, format: uri}`, `a: "http://x"`, `a: x`, []string{`FieldValueTypeInvalid a: Invalid value: "x": a in body must be of type uri: "x"`}},
	{"format k8s-short-name", `a: {type: string, format: k8s-short-name}`, `a: web`, `a: Web`, []string{`FieldValueTypeInvalid a: Invalid value: "Web": a in body must be of type k8s-short-name: "Web"`}},
	{"unknown formats say nothing", `a: {type: string, format: nonsense}
b: {type: string}`, `a: x`, `b: 1`, []string{`FieldValueTypeInvalid b: Invalid value: "integer": b in body must be of type string: "integer"`}},
	{"allOf", `a: {type: string, allOf: [{minLength: 2}, {pattern: x}]}`, `a: xx`, `a: x`, []string{
		`FieldValueInvalid <nil>: Invalid value: "": "a" must validate all the schemas (allOf)`,
		`FieldValueInvalid a: Invalid value: "x": a in body should be at least 2 chars long`}},
	{"anyOf", `a: {type: string, anyOf: [{format: ipv4}, {format: ipv6}]}`, `a: "::1"`, `a: x`, []string{
		`FieldValueInvalid <nil>: Invalid value: "": "a" must validate at least one schema (anyOf)`,
		`FieldValueTypeInvalid a: Invalid value: "x": a in body must be of type ipv4: "x"`}},
	{"oneOf, none", `a: {type: object, properties: {b: {type: string}, c: {type: string}}, oneOf: [{required: [b]}, {required: [c]}]}`, `a: {b: x}`, `a: {}`, []string{
		`FieldValueInvalid <nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found none valid`,
		`FieldValueRequired a.b: Required value`}},
	{"oneOf, two", `a: {type: object, properties: {b: {type: string}, c: {type: string}}, oneOf: [{required: [b]}, {required: [c]}]}`, `a: {c: x}`, `a: {b: x, c: x}`, []string{
		`FieldValueInvalid <nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found 2 valid alternatives`}},
	{"not", `a: {type: string, not: {enum: [x]}}`, `a: z`, `a: x`, []string{`FieldValueInvalid <nil>: Invalid value: "": "a" must not validate the schema (not)`}},

	{"set", `a: {type: array, x-kubernetes-list-type: set, items: {type: string}}`, `a: [x, z]`, `a: [x, z, x, x]`, []string{`FieldValueDuplicate a[2]: Duplicate value: "x"`}},
	{"set of objects", `a: {type: array, x-kubernetes-list-type: set, items: {type: object, x-kubernetes-map-type: atomic, properties: {b: {type: string}}}}`, `a: [{b: x}, {}]`, `a: [{b: x}, {b: x}]`, []string{`FieldValueDuplicate a[1]: Duplicate value: {"b":"x"}`}},
	{"map", `a: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [b], items: {type: object, required: [b], properties: {b: {type: string}, c: {type: string}}}}`,
		`a: [{b: x}, {b: z}]`, `a: [{b: x, c: u}, {b: x}]`, []string{`FieldValueDuplicate a[1]: Duplicate value: {"b":"x"}`}},
	{"map with two keys", `a: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [b, p], items: {type: object, required: [b], properties: {b: {type: integer}, p: {type: string, default: TCP}}}}`,
		`a: [{b: 1}, {b: 1, p: UDP}]`, `a: [{b: 1, p: TCP}, {b: 1, p: TCP}]`, []string{`FieldValueDuplicate a[1]: Duplicate value: {"b":1,"p":"TCP"}`}},
	{"big map", `a: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [b], items: {type: object, required: [b], properties: {b: {type: integer}}}}`,
		`a: [` + items(30) + `]`, `a: [` + items(30) + `, {b: 3}]`, []string{`FieldValueDuplicate a[30]: Duplicate value: {"b":3}`}},

	{"embedded object", `a: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}`,
		`a: {apiVersion: v1, kind: Pod, metadata: {name: x}}`, `a: {metadata: {name: "/"}}`, []string{
			`FieldValueInvalid a.metadata.name: Invalid value: "/": may not contain '/'`,
			`FieldValueRequired a.apiVersion: Required value`, `FieldValueRequired a.kind: Required value`}},
	{"type of an embedded object", `a: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}`,
		`a: {apiVersion: apps/v1, kind: Deployment}`, `a: {apiVersion: a/b/c, kind: "1"}`, []string{
			`FieldValueInvalid a.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c`,
			`FieldValueInvalid a.kind: Invalid value: "1": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')`}},
	{"metadata may be narrowed", `metadata: {type: object, properties: {name: {type: string, pattern: '^w$'}}}`, `{}`, `metadata: {name: x, namespace: ns}`, []string{`FieldValueInvalid metadata.name: Invalid value: "x": metadata.name in body should match '^w$'`}},
}

func items(n int) string {
	var out []string
	for i := range n {
		out = append(out, "{b: "+string(rune('0'+i/10))+string(rune('0'+i%10))+"}")
	}
	return strings.ReplaceAll(strings.Join(out, ", "), "b: 0", "b: ")
}

func TestValidate(t *testing.T) {
	for _, c := range validateCases {
		t.Run(c.name, func(t *testing.T) {
			v := made(define(t, c.schema)).Versions["v1"]
			if errs := v.Validate(t.Context(), widget(t, c.good)); len(errs) > 0 {
				t.Errorf("good: %v", errs)
			}
			if got := told(v.Validate(t.Context(), widget(t, c.bad))); !slices.Equal(got, c.errs) {
				t.Errorf("bad:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.errs, "\n"))
			}
			// What is wrong stays forgiven as long as it stays, unless it is an embedded object.
			old := widget(t, c.bad)
			next := old.DeepCopy()
			next.SetLabels(map[string]string{"a": "b"})
			if got := v.ValidateUpdate(t.Context(), next, old); len(got) > 0 && !strings.Contains(c.schema, "embedded") && !strings.Contains(c.schema, "metadata") {
				t.Errorf("unchanged: %v", got)
			}
			if got := told(v.ValidateUpdate(t.Context(), old, widget(t, c.good))); !slices.Equal(got, c.errs) {
				t.Errorf("changed:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.errs, "\n"))
			}
		})
	}
}

func TestValidateType(t *testing.T) {
	v := made(define(t, `{}`)).Versions["v1"]
	o := widget(t, `{}`)
	o.SetKind("Gadget")
	o.SetAPIVersion("example.com/v2")
	want := []string{`FieldValueInvalid apiVersion: Invalid value: "example.com/v2": must be example.com/v1`, `FieldValueInvalid kind: Invalid value: "Gadget": must be Widget`}
	if got := told(v.Validate(t.Context(), o)); !slices.Equal(got, want) {
		t.Error(got)
	}
}

func TestRatchet(t *testing.T) {
	schema := `
spec:
  type: object
  properties:
    a: {type: string, maxLength: 2}
    b: {type: string}
    l: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k], items: {type: object, required: [k], properties: {k: {type: string}, v: {type: string, maxLength: 2}}}}
    s: {type: array, x-kubernetes-list-type: set, items: {type: string}}
status: {type: object, properties: {phase: {type: string, enum: [A, B]}, count: {type: integer}}}`
	v := made(define(t, schema, withStatus)).Versions["v1"]
	for _, c := range []struct {
		name, old, next string
		errs            []string
	}{
		{"another field changes", `spec: {a: long}`, `spec: {a: long, b: x}`, nil},
		{"it changes", `spec: {a: long}`, `spec: {a: longer}`, []string{"FieldValueTooLong spec.a: Too long: may not be more than 2 bytes"}},
		{"it gets well", `spec: {a: long}`, `spec: {a: x}`, nil},
		{"an item moves", `spec: {l: [{k: a, v: long}]}`, `spec: {l: [{k: b}, {k: a, v: long}]}`, nil},
		{"an item is new", `spec: {l: [{k: a, v: long}]}`, `spec: {l: [{k: b, v: long}]}`, []string{"FieldValueTooLong spec.l[0].v: Too long: may not be more than 2 bytes"}},
		{"a set was none", `spec: {s: [x, x]}`, `spec: {s: [x, x, z]}`, nil},
		{"a set becomes none", `spec: {s: [x]}`, `spec: {s: [x, x]}`, []string{`FieldValueDuplicate spec.s[1]: Duplicate value: "x"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := told(v.ValidateUpdate(t.Context(), widget(t, c.next), widget(t, c.old))); !slices.Equal(got, c.errs) {
				t.Errorf("%q, want %q", got, c.errs)
			}
		})
	}
	for _, c := range []struct {
		name, old, next string
		errs            []string
	}{
		{"good", `status: {phase: A}`, `status: {phase: B}`, nil},
		{"bad", `status: {phase: A}`, `status: {phase: C}`, []string{`FieldValueNotSupported status.phase: Unsupported value: "C": supported values: "A", "B"`}},
		{"none", `status: {phase: A}`, `{}`, nil},
		{"was bad", `status: {phase: C}`, `status: {phase: C, count: 1}`, nil},
		{"the rest does not matter", `{spec: {a: x}}`, `{spec: {a: long}, status: {count: 1}}`, nil},
		{"no object", `{}`, `status: 1`, []string{`FieldValueTypeInvalid status: Invalid value: "integer":  in body must be of type object: "integer"`}},
	} {
		t.Run("status, "+c.name, func(t *testing.T) {
			if got := told(v.ValidateStatus(t.Context(), widget(t, c.next), widget(t, c.old))); !slices.Equal(got, c.errs) {
				t.Errorf("%q, want %q", got, c.errs)
			}
		})
	}
}
