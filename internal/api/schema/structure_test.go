package schema

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// plain is a type of nobody's API.
type plain struct {
	Inner    `json:",inline"`
	Meta     metav1.ObjectMeta `json:"metadata"`
	Hidden   string            `json:"-"`
	Untagged []string
	Amount   resource.Quantity  `json:"amount,omitempty"`
	Deep     *Inner             `json:"deep,omitzero"`
	Counts   map[string]float64 `json:"counts"`
	secret   string
}

type Inner struct {
	On bool `json:"on"`
}

func TestOf(t *testing.T) {
	typ := Of(reflect.TypeFor[**plain]())
	if typ != Of(reflect.TypeFor[plain]()) || typ.Name != "" || typ.Shape != Struct {
		t.Errorf("a plain struct is %+v", typ)
	}
	var names []string
	for _, f := range typ.Fields {
		names = append(names, f.Name)
		if v := reflect.ValueOf(plain{secret: "a"}).FieldByIndex(f.Index); v.Type() != f.Type.Go && v.Type().Elem() != f.Type.Go {
			t.Errorf("%s is of %s, not %s", f.Name, v.Type(), f.Type.Go)
		}
	}
	if got := strings.Join(names, " "); got != "Untagged amount counts deep metadata on" {
		t.Errorf("its fields are %s", got)
	}
	if indexOf(typ.Go, "none") != nil {
		t.Error("a key is found that is not there")
	}
}

func TestParseable(t *testing.T) {
	pod := Parseable(reflect.TypeFor[corev1.Pod]())
	own := Parseable(reflect.TypeFor[plain]())
	if !pod.IsValid() || !own.IsValid() {
		t.Fatal("the schema is not valid")
	}
	for _, c := range []struct {
		text string
		bad  string
	}{
		{"spec: {containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}}, ports: [{containerPort: 80}], readinessProbe: {httpGet: {port: http}}}], nodeSelector: {a: b}}", ""},
		{"spec: {containers: [{name: a, readinessProbe: {tcpSocket: {port: 80}}}], terminationGracePeriodSeconds: 5}", ""},
		{"spec: {odd: a}", "field not declared in schema"},
		{"spec: {containers: [{name: a}, {name: a}]}", "duplicate"},
		{"spec: {hostNetwork: a}", "expected boolean"},
		{"spec: {containers: a}", "expected list"},
	} {
		if _, err := pod.FromYAML(typed.YAMLObject(c.text)); (err == nil) != (c.bad == "") || err != nil && !strings.Contains(err.Error(), c.bad) {
			t.Errorf("%s: %v, want %q", c.text, err, c.bad)
		}
	}
	v, err := own.FromYAML("metadata: {name: a}\nUntagged: [a]\namount: 1Gi\ndeep: {on: true}\ncounts: {a: 1.5}\non: false\n")
	if err != nil {
		t.Fatal(err)
	}
	if set, err := v.ToFieldSet(); err != nil || set.Empty() {
		t.Errorf("the fields are %v, %v", set, err)
	}
}
