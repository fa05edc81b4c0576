package custom

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// readCase is an object in, an object out, and what was unknown.
type readCase struct {
	name, schema, in, out string
	unknown               []string
}

var readCases = []readCase{
	{"known fields stay", `spec: {type: object, properties: {a: {type: string}}}`, `spec: {a: x}`, `{"spec":{"a":"x"}}`, nil},
	{"unknown fields go", `spec: {type: object, properties: {a: {type: string}}}`, `{spec: {a: x, b: {c: 1}}, more: 1}`, `{"spec":{"a":"x"}}`, []string{"more", "spec.b"}},
	{"in lists and maps", `
l: {type: array, items: {type: object, properties: {a: {type: string}}}}
m: {type: object, additionalProperties: {type: object, properties: {a: {type: string}}}}`,
		`{l: [{a: x}, {a: z, b: z}], m: {k: {b: 1}}}`, `{"l":[{"a":"x"},{"a":"z"}],"m":{"k":{}}}`, []string{"l[1].b", "m.k.b"}},
	{"in lists of lists", `l: {type: array, items: {type: array, items: {type: object}}}`, `l: [[{a: 1}]]`, `{"l":[[{}]]}`, []string{"l[0][0].a"}},
	{"metadata is not a field like others", `spec: {type: object}`, `{spec: {metadata: {}, kind: x}}`, `{"spec":{}}`, []string{"spec.kind", "spec.metadata"}},
	{"preserved", `spec: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {a: {type: object}}}`,
		`{spec: {b: {c: 1}, a: {d: 1}}}`, `{"spec":{"a":{},"b":{"c":1}}}`, []string{"spec.a.d"}},
	{"additionalProperties: true keeps keys and prunes what is in them", `m: {type: object, additionalProperties: true}`,
		`{m: {a: 1, b: {c: 1}}}`, `{"m":{"a":1,"b":{}}}`, []string{"m.b.c"}},
	{"embedded objects have a type and metadata", `o: {type: object, x-kubernetes-embedded-resource: true, properties: {spec: {type: object}}}`,
		`{o: {apiVersion: v1, kind: Pod, metadata: {name: x, foo: 1, creationTimestamp: null}, spec: {a: 1}, b: 1}}`,
		`{"o":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{}}}`, []string{"o.b", "o.spec.a", "o.metadata.foo"}},
	{"embedded and preserved", `o: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}`,
		`{o: {apiVersion: v1, kind: Pod, metadata: {name: x, foo: 1}, b: 1}}`,
		`{"o":{"apiVersion":"v1","b":1,"kind":"Pod","metadata":{"name":"x"}}}`, []string{"o.metadata.foo"}},

	{"defaults", `
s: {type: string, default: x}
i: {type: integer, default: 3}
o: {type: object, default: {}, properties: {a: {type: string, default: z}, b: {type: string}}}`, `{}`, `{"i":3,"o":{"a":"z"},"s":"x"}`, nil},
	{"defaults leave alone what is there", `s: {type: string, default: x}`, `{s: ""}`, `{"s":""}`, nil},
	{"no default in an object that is not there", `o: {type: object, properties: {a: {type: string, default: z}}}`, `{}`, `{}`, nil},
	{"null becomes the default", `s: {type: string, default: x}`, `{s: null}`, `{"s":"x"}`, nil},
	{"null that may be stays", `s: {type: string, nullable: true, default: x}`, `{s: null}`, `{"s":null}`, nil},
	{"null without a default goes", `s: {type: string}`, `{s: null}`, `{}`, nil},
	{"nullable without a default", `s: {type: string, nullable: true}`, `{s: null}`, `{"s":null}`, nil},
	{"null in a list stays", `l: {type: array, items: {type: string}}`, `{l: [null]}`, `{"l":[null]}`, nil},
	{"null in a list becomes the default", `l: {type: array, items: {type: string, default: x}}`, `{l: [null, a]}`, `{"l":["x","a"]}`, nil},
	{"null in a map goes", `m: {type: object, additionalProperties: {type: string}}`, `{m: {a: null, b: x}}`, `{"m":{"b":"x"}}`, nil},
	{"null in a map becomes the default", `m: {type: object, additionalProperties: {type: string, default: x}}`, `{m: {a: null}}`, `{"m":{"a":"x"}}`, nil},
	{"defaults in lists", `l: {type: array, items: {type: object, properties: {p: {type: string, default: TCP}}}}`, `{l: [{}, {p: UDP}]}`, `{"l":[{"p":"TCP"},{"p":"UDP"}]}`, nil},
	{"defaults in defaults", `o: {type: object, default: {b: {}}, properties: {b: {type: object, properties: {c: {type: integer, default: 1}}}}}`, `{}`, `{"o":{"b":{"c":1}}}`, nil},
	{"a default is pruned", `o: {type: object, default: {zz: 1, a: x}, properties: {a: {type: string}}}`, `{}`, `{"o":{"a":"x"}}`, nil},
}

func TestRead(t *testing.T) {
	for _, c := range readCases {
		t.Run(c.name, func(t *testing.T) {
			v := made(define(t, c.schema)).Versions["v1"]
			o := widget(t, c.in)
			unknown, err := v.Read(o, true)
			if err != nil || plain(t, o) != c.out || !slices.Equal(unknown, c.unknown) {
				t.Errorf("%s %q %v\nwant %s %q", plain(t, o), unknown, err, c.out, c.unknown)
			}
			again := o.DeepCopy()
			v.Default(again)
			if unknown, err := v.Read(again, true); err != nil || len(unknown) > 0 || !reflect.DeepEqual(again, o) {
				t.Errorf("the second time: %s %q %v", plain(t, again), unknown, err)
			}
			loose := widget(t, c.in)
			if unknown, err := v.Read(loose, false); err != nil || unknown != nil || !reflect.DeepEqual(loose, o) {
				t.Errorf("without paths: %s %q %v", plain(t, loose), unknown, err)
			}
		})
	}
}

func TestReadDefaultsAreNotShared(t *testing.T) {
	v := made(define(t, `o: {type: object, default: {l: [a]}, properties: {l: {type: array, items: {type: string}}}}`)).Versions["v1"]
	a, b := widget(t, `{}`), widget(t, `{}`)
	v.Default(a)
	a.Object["o"].(map[string]any)["l"].([]any)[0] = "changed"
	v.Default(b)
	if got := plain(t, b); got != `{"o":{"l":["a"]}}` {
		t.Error(got)
	}
}

// Old definitions may keep everything that they do not know.
func TestReadLoose(t *testing.T) {
	crd := define(t, `spec: {type: object, properties: {a: {type: string, default: x}}}`, func(crd *apiextensionsv1.CustomResourceDefinition) {
		crd.Spec.PreserveUnknownFields = true
	})
	k := made(crd)
	o := widget(t, `{spec: {b: 1, c: null}, more: 1}`)
	unknown, err := k.Versions["v1"].Read(o, true)
	if err != nil || len(unknown) > 0 || plain(t, o) != `{"more":1,"spec":{"a":"x","b":1,"c":null}}` {
		t.Errorf("%s %q %v", plain(t, o), unknown, err)
	}
	if !k.Row.Custom.Loose {
		t.Error("the row does not tell")
	}
}

// A schema that is not structural is one to validate by, in old definitions.
func TestReadNotStructural(t *testing.T) {
	crd := define(t, `spec: {type: object, patternProperties: {"^a": {type: string}}, properties: {b: {type: string, default: x}}}`, func(crd *apiextensionsv1.CustomResourceDefinition) {
		crd.Spec.PreserveUnknownFields = true
	})
	v := made(crd).Versions["v1"]
	o := widget(t, `{spec: {ab: 1}, more: 1}`)
	if _, err := v.Read(o, true); err != nil || plain(t, o) != `{"more":1,"spec":{"ab":1}}` {
		t.Errorf("%s %v", plain(t, o), err)
	}
	if errs := v.Validate(t.Context(), o); len(errs) == 0 || errs[0].Field != "spec.ab" {
		t.Error(errs)
	}
	if errs := v.ValidateUpdate(t.Context(), o, widget(t, `{spec: {b: x}}`)); len(errs) == 0 || errs[0].Field != "spec.ab" {
		t.Error(errs)
	}
	if errs := v.ValidateStatus(t.Context(), o, o); len(errs) > 0 {
		t.Error(errs)
	}
	if v.SchemaJSON() != nil {
		t.Error("it is published")
	}
	crd.Spec.PreserveUnknownFields = false
	if _, err := made(crd).Versions["v1"].Read(widget(t, `{}`), true); err == nil || !strings.Contains(err.Error(), "the server could not properly serve the CR schema") {
		t.Error(err)
	}
}

func TestReadWithoutSchema(t *testing.T) {
	crd := define(t, `{}`)
	crd.Spec.Versions[0].Schema = nil
	v := made(crd).Versions["v1"]
	o := widget(t, `{spec: {a: 1}}`)
	unknown, err := v.Read(o, true)
	if err != nil || plain(t, o) != `{}` || !slices.Equal(unknown, []string{"spec"}) {
		t.Errorf("%s %q %v", plain(t, o), unknown, err)
	}
	if errs := v.Validate(t.Context(), o); len(errs) > 0 {
		t.Error(errs)
	}
	if v.SchemaJSON() != nil || v.SchemaV2JSON() != nil {
		t.Error("a schema is published")
	}
	crd.Spec.PreserveUnknownFields = true
	v = made(crd).Versions["v1"]
	o = widget(t, `{spec: {a: 1}}`)
	if _, err := v.Read(o, true); err != nil || plain(t, o) != `{"spec":{"a":1}}` {
		t.Errorf("%s %v", plain(t, o), err)
	}
}

func TestMetadata(t *testing.T) {
	v := made(define(t, `{}`)).Versions["v1"]
	for _, c := range []struct {
		name, in, out string
		unknown       []string
		err           string
	}{
		{"in shape", `{name: w, labels: {a: b}, generation: 2, finalizers: [a]}`, `{"finalizers":["a"],"generation":2,"labels":{"a":"b"},"name":"w"}`, nil, ""},
		{"empty fields go", `{name: w, generateName: "", labels: {}, annotations: null, finalizers: [], ownerReferences: [], creationTimestamp: null, generation: 0}`, `{"name":"w"}`, nil, ""},
		{"null labels are empty ones", `{name: w, labels: {a: null}}`, `{"labels":{"a":""},"name":"w"}`, nil, ""},
		{"unknown fields go", `{name: w, foo: 1, Name: x}`, `{"name":"w"}`, []string{"metadata.Name", "metadata.foo"}, ""},
		{"in owners as well", `{name: w, ownerReferences: [{apiVersion: v1, kind: Pod, name: p, uid: u, foo: 1}]}`,
			`{"name":"w","ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"p","uid":"u"}]}`, []string{"metadata.ownerReferences[0].foo"}, ""},
		{"times are UTC to the second", `{name: w, creationTimestamp: "2020-01-02T04:04:05.5+01:00"}`, `{"creationTimestamp":"2020-01-02T03:04:05Z","name":"w"}`, nil, ""},
		{"null", `null`, `{}`, nil, ""},
		{"text", `x`, ``, nil, "json: cannot unmarshal string into Go value of type v1.ObjectMeta"},
		{"a name that is none", `{name: 1}`, ``, nil, "json: cannot unmarshal number into Go struct field ObjectMeta.name of type string"},
		{"labels that are none", `{name: w, labels: {a: 1}}`, ``, nil, "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := widget(t, `metadata: `+c.in)
			unknown, err := v.Read(o, true)
			if (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
				t.Fatalf("%v, want %q", err, c.err)
			}
			if err != nil {
				return
			}
			slices.Sort(unknown)
			got := plain(t, &unstructured.Unstructured{Object: map[string]any{"is": o.Object["metadata"]}})
			if got != `{"is":`+c.out+`}` || !slices.Equal(unknown, c.unknown) {
				t.Errorf("%s %q, want %s %q", got, unknown, c.out, c.unknown)
			}
		})
	}
}

func TestStored(t *testing.T) {
	v := made(define(t, `spec: {type: object, properties: {a: {type: string, default: x}, o: {type: object, x-kubernetes-embedded-resource: true}}}`)).Versions["v1"]
	o := widget(t, `{metadata: {name: w, labels: {a: 1}}, spec: {b: 1, o: {apiVersion: 1, kind: X, metadata: {labels: 3}}}}`)
	if err := v.Stored(o); err != nil {
		t.Fatal(err)
	}
	if got := plain(t, o); got != `{"spec":{"a":"x","o":{"kind":"X","metadata":{}}}}` || o.GetName() != "w" || o.GetGeneration() != 1 || o.GetLabels() != nil {
		t.Error(got, o.Object["metadata"])
	}
	for _, none := range []string{"a", "[{}]", "3"} {
		o = widget(t, `{metadata: {name: w}, spec: {o: {kind: X, metadata: `+none+`}}}`)
		if err := v.Stored(o); err != nil || plain(t, o) != `{"spec":{"a":"x","o":{"kind":"X"}}}` {
			t.Error(plain(t, o), err)
		}
	}
	o = widget(t, `{spec: {b: 1}}`)
	if err := v.Prune(o); err != nil || plain(t, o) != `{"spec":{}}` {
		t.Error(plain(t, o), err)
	}
}
