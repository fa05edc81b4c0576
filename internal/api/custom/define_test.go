package custom

import (
	"encoding/json"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// define makes a definition of namespaced Widgets with one version v1, whose schema has
// the given properties (YAML).
func define(t testing.TB, properties string, change ...func(*apiextensionsv1.CustomResourceDefinition)) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	props := apiextensionsv1.JSONSchemaProps{Type: "object"}
	if err := yaml.Unmarshal([]byte(properties), &props.Properties); err != nil {
		t.Fatal(err)
	}
	return defineSchema(&props, change...)
}

func defineSchema(props *apiextensionsv1.JSONSchemaProps, change ...func(*apiextensionsv1.CustomResourceDefinition)) *apiextensionsv1.CustomResourceDefinition {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	crd.Name = "widgets.example.com"
	crd.Spec.Group = "example.com"
	crd.Spec.Scope = apiextensionsv1.NamespaceScoped
	crd.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList", ShortNames: []string{"wd"}, Categories: []string{"all"}}
	crd.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: props}}}
	for _, f := range change {
		f(crd)
	}
	return crd
}

func withStatus(crd *apiextensionsv1.CustomResourceDefinition) {
	v := &crd.Spec.Versions[0]
	if v.Subresources == nil {
		v.Subresources = &apiextensionsv1.CustomResourceSubresources{}
	}
	v.Subresources.Status = &apiextensionsv1.CustomResourceSubresourceStatus{}
}

func withScale(crd *apiextensionsv1.CustomResourceDefinition) {
	v := &crd.Spec.Versions[0]
	if v.Subresources == nil {
		v.Subresources = &apiextensionsv1.CustomResourceSubresources{}
	}
	selector := ".status.selector"
	v.Subresources.Scale = &apiextensionsv1.CustomResourceSubresourceScale{SpecReplicasPath: ".spec.replicas", StatusReplicasPath: ".status.replicas", LabelSelectorPath: &selector}
}

// widget is an object of the kind, with the given fields (YAML) in it.
func widget(t testing.TB, fields string) *unstructured.Unstructured {
	t.Helper()
	j, err := yaml.YAMLToJSON([]byte(fields))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := utiljson.Unmarshal(j, &m); err != nil {
		t.Fatal(err)
	}
	if m == nil {
		m = map[string]any{}
	}
	if _, ok := m["metadata"]; !ok {
		m["metadata"] = map[string]any{"name": "w", "namespace": "ns"}
	}
	m["apiVersion"], m["kind"] = "example.com/v1", "Widget"
	return &unstructured.Unstructured{Object: m}
}

// plain is the object as JSON, without what all of them have.
func plain(t testing.TB, o *unstructured.Unstructured) string {
	t.Helper()
	m := o.DeepCopy().Object
	delete(m, "apiVersion")
	delete(m, "kind")
	delete(m, "metadata")
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
