package custom

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func withColumns(columns ...apiextensionsv1.CustomResourceColumnDefinition) func(*apiextensionsv1.CustomResourceDefinition) {
	return func(crd *apiextensionsv1.CustomResourceDefinition) {
		crd.Spec.Versions[0].AdditionalPrinterColumns = columns
	}
}

func TestDefaultColumns(t *testing.T) {
	r := made(define(t, anything)).Row
	o := widget(t, `{}`)
	o.SetCreationTimestamp(metav1.NewTime(time.Now().Add(-90 * time.Minute)))
	if len(r.Columns) != 2 || r.Columns[0].Name != "Name" || r.Columns[0].Format != "name" || r.Columns[1].Name != "Age" || r.Columns[1].Type != "date" || r.Columns[1].Description == "" {
		t.Fatalf("%+v", r.Columns)
	}
	if name, age := r.Columns[0].Cell(o), r.Columns[1].Cell(o); name != "w" || age != "90m" {
		t.Error(name, age)
	}
	if age := r.Columns[1].Cell(widget(t, `{}`)); age != nil {
		t.Error(age)
	}
}

func TestColumns(t *testing.T) {
	o := widget(t, `
spec: {text: some, number: 3, real: 1.5, ok: true, list: [a, b], map: {a: b}, none: null, when: "2020-01-02T03:04:05Z", never: soon, empty: "", "dotted.key": dots}
status: {conditions: [{type: Synced, status: "False"}, {type: Ready, status: "True"}]}`)
	for _, c := range []struct {
		typ, path string
		want      any
	}{
		{"string", ".spec.text", "some"},
		{"string", ".spec.number", "3"},
		{"string", ".spec.real", "1.5"},
		{"string", ".spec.ok", "true"},
		{"string", ".spec.list", `["a","b"]`},
		{"string", ".spec.map", `{"a":"b"}`},
		{"string", ".spec.empty", ""},
		{"string", ".spec.missing", nil},
		{"string", ".spec.text.deeper", nil},
		{"string", ".spec.list[0]", "a"},
		{"string", ".spec.list[5]", nil},
		{"string", ".spec.list[*]", "a"},
		{"string", `.spec.dotted\.key`, "dots"},
		{"string", ".spec['text']", "some"},
		{"string", `.status.conditions[?(@.type=="Ready")].status`, "True"},
		{"string", `.status.conditions[?(@.type=="Gone")].status`, nil},
		{"string", ".metadata.name", "w"},
		{"integer", ".spec.number", int64(3)},
		{"integer", ".spec.real", int64(1)},
		{"integer", ".spec.text", nil},
		{"number", ".spec.number", 3.0},
		{"number", ".spec.real", 1.5},
		{"number", ".spec.ok", nil},
		{"boolean", ".spec.ok", true},
		{"boolean", ".spec.text", nil},
		{"date", ".spec.never", "<invalid>"},
		{"date", ".spec.empty", "<unknown>"},
		{"date", ".spec.number", nil},
		{"integer", ".spec.none", nil},
	} {
		t.Run(c.typ+" "+c.path, func(t *testing.T) {
			r := made(define(t, anything, withColumns(apiextensionsv1.CustomResourceColumnDefinition{Name: "Column", Type: c.typ, JSONPath: c.path}))).Row
			if len(r.Columns) != 2 || r.Columns[1].Description != "Custom resource definition column (in JSONPath format): "+c.path {
				t.Fatalf("%+v", r.Columns)
			}
			for range 2 {
				if got := r.Columns[1].Cell(o); !reflect.DeepEqual(got, c.want) {
					t.Errorf("%#v, want %#v", got, c.want)
				}
			}
		})
	}
	r := made(define(t, anything, withColumns(
		apiextensionsv1.CustomResourceColumnDefinition{Name: "When", Type: "date", JSONPath: ".spec.when", Priority: 1, Description: "when it was", Format: "date-time"},
		apiextensionsv1.CustomResourceColumnDefinition{Name: "Broken", Type: "string", JSONPath: ".spec["},
		apiextensionsv1.CustomResourceColumnDefinition{Name: "After", Type: "string", JSONPath: ".spec.text"}))).Row
	if len(r.Columns) != 2 || r.Columns[1].Priority != 1 || r.Columns[1].Description != "when it was" || r.Columns[1].Format != "date-time" {
		t.Errorf("%+v", r.Columns)
	}
	if got, ok := r.Columns[1].Cell(o).(string); !ok || got[0] < '1' || got[0] > '9' {
		t.Error(got)
	}
}

// Tables are made by many at once.
func TestColumnsAtOnce(t *testing.T) {
	r := made(define(t, anything, withColumns(apiextensionsv1.CustomResourceColumnDefinition{Name: "Ready", Type: "string", JSONPath: `.status.conditions[?(@.type=="Ready")].status`}))).Row
	o := widget(t, `status: {conditions: [{type: Synced, status: "False"}, {type: Ready, status: "True"}]}`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if got := r.Columns[1].Cell(o); got != "True" {
					t.Error(got)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestSelectableFields(t *testing.T) {
	r := made(define(t, anything, func(crd *apiextensionsv1.CustomResourceDefinition) {
		crd.Spec.Versions[0].SelectableFields = []apiextensionsv1.SelectableField{{JSONPath: ".spec.color"}, {JSONPath: ".spec.size"}, {JSONPath: ".spec.on"}}
	})).Row
	o := widget(t, `spec: {color: red, size: 3}`)
	for name, want := range map[string]string{"metadata.name": "w", "metadata.namespace": "ns", "spec.color": "red", "spec.size": "3", "spec.on": ""} {
		if got := r.Fields[name](o); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	cluster := made(define(t, anything, func(crd *apiextensionsv1.CustomResourceDefinition) { crd.Spec.Scope = apiextensionsv1.ClusterScoped }))
	if _, ok := cluster.Row.Fields["metadata.namespace"]; ok || cluster.Row.Namespaced {
		t.Error("it is namespaced")
	}
	var names []string
	for name := range r.Fields {
		names = append(names, name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"metadata.name", "metadata.namespace", "spec.color", "spec.on", "spec.size"}) {
		t.Error(names)
	}
}
