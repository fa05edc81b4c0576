package apiextensions

import (
	"fmt"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/internal/api"
)

// TestRow checks what clients find in discovery, and where upstream looks for definitions.
func TestRow(t *testing.T) {
	if got := row.Key("", "foos.example.com"); got != "/registry/apiextensions.k8s.io/customresourcedefinitions/foos.example.com" {
		t.Error(got)
	}
	if got := fmt.Sprintln(row.GVR, row.GVK.Kind, row.Singular, row.Short, row.Categories, row.Namespaced); got != "apiextensions.k8s.io/v1, Resource=customresourcedefinitions CustomResourceDefinition customresourcedefinition [crd crds] [api-extensions] false\n" {
		t.Error(got)
	}
	if row.Status == nil || row.SpecChanged == nil || !row.RequireVersion || len(row.Columns) != 0 {
		t.Error("status, generation, version or columns")
	}
	if _, ok := row.NewList().(*apiextensionsv1.CustomResourceDefinitionList); !ok {
		t.Error("list")
	}
}

// TestStatusUpdate: the names in a status are checked, and nothing else of the definition.
func TestStatusUpdate(t *testing.T) {
	old := read(t, []byte(base))
	old.Spec.Scope = "Nowhere"
	next := old.DeepCopy()
	next.Status.AcceptedNames = apiextensionsv1.CustomResourceDefinitionNames{Plural: "foos", Kind: "Foo"}
	next.Status.StoredVersions = []string{"v7"}
	if errs := row.Status.Validate(next, old); len(errs) > 0 {
		t.Error(errs)
	}
	next.Status.AcceptedNames.ShortNames = []string{"F"}
	errs := row.Status.Validate(next, old)
	if len(errs) != 1 || errs[0].Type != field.ErrorTypeInvalid || errs[0].Field != "status.acceptedNames.shortNames[0]" {
		t.Error(errs)
	}
}

// FuzzValidate: whatever is decoded is validated without a panic, twice with the same errors.
func FuzzValidate(f *testing.F) {
	for _, s := range []string{base, "spec: {versions: [{schema: {openAPIV3Schema: {type: object, properties: {a: {items: [], type: array}}}}}]}",
		"spec: {conversion: {strategy: Webhook, webhook: {clientConfig: {service: {path: x}}}}}", "spec: {versions: [{selectableFields: [{jsonPath: .a}], schema: {}}]}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := &apiextensionsv1.CustomResourceDefinition{}
		if len(text) > 4096 || yaml.Unmarshal([]byte(text), o) != nil {
			return
		}
		row.Prepare(o)
		row.Default(o)
		errs := row.Validate(o)
		if a, b := fmt.Sprint(errs), fmt.Sprint(row.Validate(o)); a != b && !strings.Contains(a, "selfType") {
			t.Errorf("once %s, then %s", a, b)
		}
		row.ValidateUpdate(o.DeepCopy(), o)
		row.Warn(o, nil)
		Conditions(o, []*apiextensionsv1.CustomResourceDefinition{o}, now)
	})
}

// large is a definition as operators have them: deep, with thousands of fields, and here and there a rule.
func large(fields int) *apiextensionsv1.CustomResourceDefinition {
	text := apiextensionsv1.JSONSchemaProps{Type: "string", Description: strings.Repeat("what it is for ", 10)}
	limit := int64(10)
	leaf := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{}}
	for i := range 9 {
		leaf.Properties[fmt.Sprintf("field%d", i)] = text
	}
	spec := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{}}
	for i := range fields / 40 {
		part := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{}}
		for j := range 4 {
			part.Properties[fmt.Sprintf("list%d", j)] = apiextensionsv1.JSONSchemaProps{Type: "array", MaxItems: &limit, Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &leaf}}
		}
		if i%10 == 0 {
			part.XValidations = apiextensionsv1.ValidationRules{{Rule: "!has(self.list0) || size(self.list0) > 0"}}
		}
		spec.Properties[fmt.Sprintf("part%d", i)] = part
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal([]byte(base), crd); err != nil {
		panic(err)
	}
	crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties = map[string]apiextensionsv1.JSONSchemaProps{"spec": spec}
	row.Prepare(crd)
	row.Default(crd)
	return crd
}

func BenchmarkValidate(b *testing.B) {
	for _, n := range []int{40, 4000} {
		crd := large(n)
		if errs := row.Validate(crd); len(errs) > 0 {
			b.Fatal(errs)
		}
		b.Run(fmt.Sprint("create/", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				row.Validate(crd)
			}
		})
		b.Run(fmt.Sprint("update/", n), func(b *testing.B) {
			b.ReportAllocs()
			next := crd.DeepCopy()
			for b.Loop() {
				row.ValidateUpdate(next, crd)
			}
		})
		b.Run(fmt.Sprint("conditions/", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Conditions(crd, nil, now)
			}
		})
	}
}

var _ api.Object = &apiextensionsv1.CustomResourceDefinition{}
