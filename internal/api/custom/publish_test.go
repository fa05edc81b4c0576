package custom

import (
	"encoding/json"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

func TestPublish(t *testing.T) {
	for _, c := range []struct{ name, schema, v3, v2 string }{
		{"plain", `a: {type: string, description: about a, maxLength: 3, default: x}`,
			`{"a":{"type":"string","description":"about a","maxLength":3,"default":"x"}}`,
			`{"a":{"type":"string","description":"about a","maxLength":3,"default":"x"}}`},
		{"nullable", `a: {type: object, nullable: true, properties: {b: {type: string}}}`,
			`{"a":{"type":"object","nullable":true,"properties":{"b":{"type":"string"}}}}`, `{"a":{}}`},
		{"junctors", `a: {type: string, anyOf: [{format: ipv4}, {format: ipv6}], not: {enum: [x]}}`,
			`{"a":{"type":"string","anyOf":[{"format":"ipv4"},{"format":"ipv6"}],"not":{"enum":["x"]}}}`, `{"a":{"type":"string"}}`},
		{"int or string", `a: {x-kubernetes-int-or-string: true}`,
			`{"a":{"x-kubernetes-int-or-string":true,"anyOf":[{"type":"integer"},{"type":"string"}]}}`, `{"a":{"x-kubernetes-int-or-string":true}}`},
		{"preserved", `a: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {b: {type: string}}}`,
			`{"a":{"type":"object","x-kubernetes-preserve-unknown-fields":true,"properties":{"b":{"type":"string"}}}}`,
			`{"a":{"x-kubernetes-preserve-unknown-fields":true}}`},
		{"nullable and required", `a: {type: object, required: [b, c], properties: {b: {type: string, nullable: true}, c: {type: string}}}`,
			`{"a":{"type":"object","required":["b","c"],"properties":{"b":{"type":"string","nullable":true},"c":{"type":"string"}}}}`,
			`{"a":{"type":"object","required":["c"],"properties":{"b":{},"c":{"type":"string"}}}}`},
		{"lists", `a: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k], items: {type: object, required: [k], properties: {k: {type: string}}}}`,
			`{"a":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["k"],"items":{"type":"object","required":["k"],"properties":{"k":{"type":"string"}}}}}`,
			`{"a":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["k"],"items":{"type":"object","required":["k"],"properties":{"k":{"type":"string"}}}}}`},
		{"rules", `a: {type: string, x-kubernetes-validations: [{rule: "self != 'x'", message: "no"}]}`,
			`{"a":{"type":"string","x-kubernetes-validations":[{"rule":"self != 'x'","message":"no"}]}}`,
			`{"a":{"type":"string","x-kubernetes-validations":[{"rule":"self != 'x'","message":"no"}]}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := made(define(t, c.schema)).Versions["v1"]
			same(t, "v3", v.SchemaJSON(), `{"type":"object","properties":`+c.v3+`}`)
			same(t, "v2", v.SchemaV2JSON(), `{"type":"object","properties":`+c.v2+`}`)
		})
	}
}

func same(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	norm := func(b []byte) string {
		var x any
		if err := json.Unmarshal(b, &x); err != nil {
			t.Fatalf("%s: %s: %v", what, b, err)
		}
		out, _ := json.Marshal(x)
		return string(out)
	}
	if g, w := norm(got), norm([]byte(want)); g != w {
		t.Errorf("%s: %s\nwant %s", what, g, w)
	}
}

func TestPublishEmbedded(t *testing.T) {
	v := made(define(t, `o: {type: object, x-kubernetes-embedded-resource: true, properties: {spec: {type: object}}}`)).Versions["v1"]
	var s struct {
		Properties map[string]struct {
			Required   []string
			Properties map[string]map[string]any
		}
	}
	if err := json.Unmarshal(v.SchemaJSON(), &s); err != nil {
		t.Fatal(err)
	}
	o := s.Properties["o"]
	if len(o.Required) != 2 || o.Properties["kind"]["type"] != "string" || o.Properties["metadata"]["allOf"] == nil {
		t.Errorf("%+v", o)
	}
	if err := json.Unmarshal(v.SchemaV2JSON(), &s); err != nil {
		t.Fatal(err)
	}
	if o := s.Properties["o"]; o.Properties["metadata"]["$ref"] != "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" {
		t.Errorf("%+v", o)
	}
}

func TestPublishFieldsAndNothing(t *testing.T) {
	v := made(define(t, `spec: {type: object, properties: {color: {type: string}}}`, func(crd *apiextensionsv1.CustomResourceDefinition) {
		crd.Spec.Versions[0].SelectableFields = []apiextensionsv1.SelectableField{{JSONPath: ".spec.color"}}
	})).Versions["v1"]
	same(t, "fields", v.SchemaJSON(), `{"type":"object","properties":{"spec":{"type":"object","properties":{"color":{"type":"string"}}}},"x-kubernetes-selectable-fields":[{"fieldPath":"spec.color"}]}`)

	open := true
	v = made(defineSchema(&apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &open})).Versions["v1"]
	same(t, "open", v.SchemaJSON(), `{"type":"object","x-kubernetes-preserve-unknown-fields":true}`)
	if v.SchemaV2JSON() != nil {
		t.Error("kubectl would refuse fields that it does not find")
	}
}
