package custom

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// thirty is a schema of some thirty fields, and an object of 2 KB with all of them.
func thirty(t testing.TB, rules string) (*Version, *unstructured.Unstructured) {
	crd := define(t, `
spec:
  type: object
  required: [replicas, image]
  `+rules+`
  properties:
    replicas: {type: integer, format: int32, minimum: 0, maximum: 1000, default: 1}
    image: {type: string, minLength: 1, maxLength: 512, pattern: '^[a-z0-9./:@-]+$'}
    policy: {type: string, enum: [Always, Never, IfNotPresent], default: Always}
    paused: {type: boolean, default: false}
    ratio: {type: number, minimum: 0, maximum: 1}
    port: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
    address: {type: string, format: ipv4}
    labels: {type: object, additionalProperties: {type: string}}
    free: {type: object, x-kubernetes-preserve-unknown-fields: true}
    env:
      type: array
      x-kubernetes-list-type: map
      x-kubernetes-list-map-keys: [name]
      items:
        type: object
        required: [name]
        properties: {name: {type: string}, value: {type: string, default: ""}}
    tags: {type: array, x-kubernetes-list-type: set, items: {type: string}, maxItems: 20}
`+fieldsUpTo(15)+`
status:
  type: object
  properties:
    replicas: {type: integer}
    conditions:
      type: array
      x-kubernetes-list-type: map
      x-kubernetes-list-map-keys: [type]
      items: {type: object, required: [type, status], properties: {type: {type: string}, status: {type: string}, message: {type: string}, lastTransitionTime: {type: string, format: date-time}}}
`, withStatus)
	o := widget(t, `
metadata: {name: w, namespace: ns, uid: 0c1b2a3f, resourceVersion: "12", generation: 3, creationTimestamp: "2026-01-02T03:04:05Z", labels: {app: w, tier: back}, annotations: {example.com/a: b}, finalizers: [example.com/x]}
spec:
  replicas: 3
  image: registry.example.com/team/app:v1.2.3
  policy: IfNotPresent
  ratio: 0.5
  port: http
  address: 10.1.2.3
  labels: {app: w, tier: back, zone: a}
  free: {any: thing, at: [all]}
  env: [{name: A, value: "1"}, {name: B, value: "2"}, {name: C}]
  tags: [a, b, c, d]
`+valuesUpTo(15)+`
status:
  replicas: 3
  conditions: [{type: Ready, status: "True", message: all is well, lastTransitionTime: "2026-01-02T03:04:05Z"}, {type: Synced, status: "True"}]
`)
	return made(crd).Versions["v1"], o
}

func fieldsUpTo(n int) (s string) {
	for i := range n {
		s += fmt.Sprintf("    field%d: {type: string, maxLength: 100}\n", i)
	}
	return s
}

func valuesUpTo(n int) (s string) {
	for i := range n {
		s += fmt.Sprintf("  field%d: some text that is about this long, for field %d\n", i, i)
	}
	return s
}

func BenchmarkReadAndValidate(b *testing.B) {
	for _, c := range []struct{ name, rules string }{
		{"plain", ""},
		{"rules", `x-kubernetes-validations: [{rule: "self.replicas < 100", message: no}, {rule: "self.image.startsWith('registry')"}]`},
	} {
		b.Run(c.name, func(b *testing.B) {
			v, o := thirty(b, c.rules)
			if errs := v.Validate(context.Background(), o); len(errs) > 0 {
				b.Fatal(errs)
			}
			text, _ := o.MarshalJSON()
			b.ReportAllocs()
			for b.Loop() {
				if unknown, err := v.Read(o, true); err != nil || len(unknown) > 0 {
					b.Fatal(unknown, err)
				}
				if errs := v.Validate(context.Background(), o); len(errs) > 0 {
					b.Fatal(errs)
				}
			}
			b.ReportMetric(float64(len(text)), "object-bytes")
		})
	}
}

func BenchmarkUpdate(b *testing.B) {
	v, o := thirty(b, "")
	next := o.DeepCopy()
	_ = unstructured.SetNestedField(next.Object, int64(4), "spec", "replicas")
	for b.Loop() {
		v.Row.PrepareUpdate(next, o)
		if !v.Row.SpecChanged(next, o) || len(v.Row.ValidateUpdate(next, o)) > 0 {
			b.Fatal("not a good update")
		}
	}
}

// big is as big as the largest definitions there are: some 10 000 fields, much of it repeated.
func big() *apiextensionsv1.JSONSchemaProps {
	text := func(what string) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: "string", Description: "This is what people write about " + what + " in definitions, and it is the greater part of their size."}
	}
	object := func(props map[string]apiextensionsv1.JSONSchemaProps) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: "object", Properties: props, Description: "An object of objects."}
	}
	list := func(of apiextensionsv1.JSONSchemaProps) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &of}}
	}
	secret := object(map[string]apiextensionsv1.JSONSchemaProps{"name": text("names"), "key": text("keys"), "optional": {Type: "boolean", Description: "Whether it must be there."}})
	secret.Required = []string{"key"}
	term := func() apiextensionsv1.JSONSchemaProps {
		return object(map[string]apiextensionsv1.JSONSchemaProps{
			"matchExpressions": list(object(map[string]apiextensionsv1.JSONSchemaProps{"key": text("keys"), "operator": text("operators"), "values": list(text("values"))})),
			"matchLabels":      {Type: "object", AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: &apiextensionsv1.JSONSchemaProps{Type: "string"}}},
		})
	}
	container := func(part int) apiextensionsv1.JSONSchemaProps {
		props := map[string]apiextensionsv1.JSONSchemaProps{}
		for i := range 40 {
			field := text(fmt.Sprint("field ", i))
			limit := int64(part*40 + i) // unlike any other
			field.MaxLength = &limit
			props[fmt.Sprintf("field%d", i)] = field
			props[fmt.Sprintf("from%d", i)] = secret
			props[fmt.Sprintf("term%d", i)] = term()
		}
		return object(props)
	}
	props := map[string]apiextensionsv1.JSONSchemaProps{}
	for i := range 16 {
		props[fmt.Sprintf("part%d", i)] = list(container(i))
	}
	root := object(map[string]apiextensionsv1.JSONSchemaProps{"spec": object(props)})
	return &root
}

func BenchmarkCompileBig(b *testing.B) {
	crd := defineSchema(big())
	made(crd).Versions["v1"].compiled() // what the libraries keep of the first use is not ours
	before := held()
	k := made(crd)
	if k.Versions["v1"].compiled().err != nil {
		b.Fatal("it does not compile")
	}
	size := float64(held() - before)
	for b.Loop() {
		made(crd).Versions["v1"].compiled()
	}
	b.ReportMetric(size, "heap-bytes")
	runtime.KeepAlive(k)
}

// BenchmarkCompileBigRules adds a rule, for which the library's form of the schema has to stay.
func BenchmarkCompileBigRules(b *testing.B) {
	props := big()
	props.XValidations = apiextensionsv1.ValidationRules{{Rule: "has(self.spec)"}}
	crd := defineSchema(props)
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "w", "namespace": "ns"}, "spec": map[string]any{}}}
	use := func() *Kind {
		k := made(crd)
		if errs := k.Row.Validate(o); len(errs) > 0 {
			b.Fatal(errs)
		}
		return k
	}
	use()
	before := held()
	k := use()
	size := float64(held() - before)
	for b.Loop() {
		use()
	}
	b.ReportMetric(size, "heap-bytes")
	runtime.KeepAlive(k)
}

func held() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkNew(b *testing.B) {
	crd := defineSchema(big(), withStatus, withScale)
	b.ReportAllocs()
	for b.Loop() {
		made(crd)
	}
}
