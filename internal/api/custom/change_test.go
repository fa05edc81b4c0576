package custom

import (
	"reflect"
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

const anything = `
spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
status: {type: object, x-kubernetes-preserve-unknown-fields: true}
more: {type: string}`

func TestStatus(t *testing.T) {
	r := made(define(t, anything, withStatus)).Row
	o := widget(t, `{spec: {a: 1}, status: {b: 1}}`)
	r.Prepare(o)
	if got := plain(t, o); got != `{"spec":{"a":1}}` {
		t.Error("created with its status:", got)
	}
	next, old := widget(t, `{spec: {a: 2}, status: {b: 2}}`), widget(t, `{spec: {a: 1}, status: {b: 1}}`)
	r.PrepareUpdate(next, old)
	if got := plain(t, next); got != `{"spec":{"a":2},"status":{"b":1}}` {
		t.Error("updated with its status:", got)
	}
	next.Object["status"].(map[string]any)["b"] = int64(3)
	if got := plain(t, old); got != `{"spec":{"a":1},"status":{"b":1}}` {
		t.Error("the old object changed:", got)
	}
	next = widget(t, `{status: {b: 2}}`)
	r.PrepareUpdate(next, widget(t, `{}`))
	if got := plain(t, next); got != `{}` {
		t.Error("a status came with an update:", got)
	}
	merged := widget(t, `{spec: {a: 1}, status: {b: 1}}`)
	r.Status.Carry(merged, widget(t, `{spec: {a: 2}, status: {b: 2}}`))
	if got := plain(t, merged); got != `{"spec":{"a":1},"status":{"b":2}}` || !r.Status.Only {
		t.Error("carried", got)
	}
	r.Status.Carry(merged, widget(t, `{}`))
	if got := plain(t, merged); got != `{"spec":{"a":1}}` {
		t.Error("carried", got)
	}

	old = widget(t, `{spec: {a: 1}, status: {b: 1}}`)
	over := r.Status.Over(old, widget(t, `{metadata: {name: w, labels: {x: z}}, spec: {a: 2}, status: {b: 2}}`))
	over.SetResourceVersion("7")
	over.SetLabels(map[string]string{"a": "b"})
	over.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "m"}})
	if got := plain(t, asCustom(over)); got != `{"spec":{"a":1},"status":{"b":2}}` || over.GetName() != "w" {
		t.Error("over", got)
	}
	if !reflect.DeepEqual(old, widget(t, `{spec: {a: 1}, status: {b: 1}}`)) {
		t.Error("the old object changed:", old)
	}

	r = made(define(t, anything)).Row
	if r.Status != nil {
		t.Error("there is a status subresource")
	}
	o = widget(t, `{status: {b: 1}}`)
	r.Prepare(o)
	r.PrepareUpdate(o, widget(t, `{status: {b: 2}}`))
	if got := plain(t, o); got != `{"status":{"b":1}}` {
		t.Error(got)
	}
}

func TestSpecChanged(t *testing.T) {
	with, without := made(define(t, anything, withStatus)).Row, made(define(t, anything)).Row
	for _, c := range []struct {
		name, old, next string
		with, without   bool
	}{
		{"nothing", `{spec: {a: [1, {b: null}]}}`, `{spec: {a: [1, {b: null}]}}`, false, false},
		{"spec", `{spec: {a: 1}}`, `{spec: {a: 2}}`, true, true},
		{"a number", `{spec: {a: 1}}`, `{spec: {a: 1.5}}`, true, true},
		{"another field", `{}`, `{more: x}`, true, true},
		{"a field goes", `{more: x}`, `{}`, true, true},
		{"a list grows", `{spec: {a: []}}`, `{spec: {a: [1]}}`, true, true},
		{"a list becomes a map", `{spec: {a: []}}`, `{spec: {a: {}}}`, true, true},
		{"a map becomes text", `{spec: {a: {}}}`, `{spec: {a: x}}`, true, true},
		{"text becomes a map", `{spec: {a: x}}`, `{spec: {a: {}}}`, true, true},
		{"a null is another", `{spec: {a: null}}`, `{spec: {b: null}}`, true, true},
		{"metadata", `{metadata: {name: w}}`, `{metadata: {name: w, labels: {a: b}}}`, false, false},
		{"status", `{status: {a: 1}}`, `{status: {a: 2}}`, false, true},
		{"status goes", `{status: {a: 1}}`, `{}`, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := with.SpecChanged(widget(t, c.next), widget(t, c.old)); got != c.with {
				t.Error("with a status subresource:", got)
			}
			if got := without.SpecChanged(widget(t, c.next), widget(t, c.old)); got != c.without {
				t.Error("without:", got)
			}
		})
	}
}

func TestScale(t *testing.T) {
	k := made(define(t, anything, withStatus, withScale))
	v, r := k.Versions["v1"], k.Row
	o := widget(t, `{spec: {replicas: 3}, status: {replicas: 2, selector: a=b}}`)
	if r.Scale.Replicas(o) != 3 || r.Scale.Observed(o) != 2 || r.Scale.Selector(o) != "a=b" || r.Scale.Unset(o) != nil || r.Scale.Check(o) != nil {
		t.Error("the scale is not what it says")
	}
	r.Scale.SetReplicas(o, 5)
	if got := plain(t, o); got != `{"spec":{"replicas":5},"status":{"replicas":2,"selector":"a=b"}}` {
		t.Error(got)
	}
	o = widget(t, `{}`)
	if r.Scale.Replicas(o) != 0 || r.Scale.Unset(o) == nil {
		t.Error("there is a scale")
	}
	r.Scale.SetReplicas(o, 1)
	if got := plain(t, o); got != `{"spec":{"replicas":1}}` {
		t.Error(got)
	}
	for _, c := range []struct{ in, err string }{
		{`{}`, `Internal error occurred: the spec replicas field ".spec.replicas" does not exist`},
		{`{spec: {replicas: x}}`, `Internal error occurred: .spec.replicas accessor error: x is of the type string, expected int64`},
		{`{spec: {replicas: 1}, status: {replicas: x}}`, `Internal error occurred: .status.replicas accessor error: x is of the type string, expected int64`},
		{`{spec: {replicas: 1}, status: {selector: 1}}`, `Internal error occurred: .status.selector accessor error: 1 is of the type int64, expected string`},
	} {
		if err := r.Scale.Check(widget(t, c.in)); err == nil || err.Error() != c.err {
			t.Errorf("%s: %v", c.in, err)
		}
	}
	if got := r.Scale.Unset(widget(t, `{}`)).Error(); got != `the spec replicas field ".spec.replicas" cannot be empty` {
		t.Error(got)
	}
	for _, c := range []struct {
		name, in     string
		errs, status []string
	}{
		{"good", `{spec: {replicas: 3}, status: {replicas: 2, selector: a=b}}`, nil, nil},
		{"none", `{}`, nil, nil},
		{"negative", `{spec: {replicas: -1}, status: {replicas: -2}}`, []string{
			`FieldValueInvalid .spec.replicas: Invalid value: -1: should be a non-negative integer`,
			`FieldValueInvalid .status.replicas: Invalid value: -2: should be a non-negative integer`},
			[]string{`FieldValueInvalid .status.replicas: Invalid value: -2: should be a non-negative integer`}},
		{"too many", `{spec: {replicas: 2147483648}}`, []string{`FieldValueInvalid .spec.replicas: Invalid value: 2147483648: should be less than or equal to 2147483647`}, nil},
		{"no numbers", `{spec: {replicas: x}, status: {selector: 1}}`, []string{
			`FieldValueInvalid .spec.replicas: Invalid value: 0: .spec.replicas accessor error: x is of the type string, expected int64`,
			`FieldValueInvalid .status.selector: Invalid value: "": .status.selector accessor error: 1 is of the type int64, expected string`},
			[]string{`FieldValueInvalid .status.selector: Invalid value: "": .status.selector accessor error: 1 is of the type int64, expected string`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := widget(t, c.in)
			if got := told(v.Validate(t.Context(), o)); !slices.Equal(got, c.errs) {
				t.Errorf("%q", got)
			}
			if got := told(v.ValidateUpdate(t.Context(), o, o)); !slices.Equal(got, c.errs) {
				t.Errorf("update: %q", got)
			}
			if got := told(v.ValidateStatus(t.Context(), o, o)); !slices.Equal(got, c.status) {
				t.Errorf("status: %q", got)
			}
		})
	}
}

func TestWarnFinalizers(t *testing.T) {
	r := made(define(t, anything)).Row
	finalizers := func(f ...string) api.Object {
		o := widget(t, `{}`)
		o.SetFinalizers(f)
		return o
	}
	for _, c := range []struct {
		next, old api.Object
		want      []string
	}{
		{finalizers("example.com/x", "orphan", "foregroundDeletion", "kubernetes"), nil, nil},
		{finalizers("mine", "a.b", "mine"), nil, []string{
			`metadata.finalizers: "a.b": prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers`,
			`metadata.finalizers: "mine": prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers`}},
		{finalizers("mine"), finalizers("mine"), nil},
		{finalizers("mine", "other"), finalizers("mine"), []string{`metadata.finalizers: "other": prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers`}},
	} {
		if got := r.Warn(c.next, c.old); !slices.Equal(got, c.want) {
			t.Errorf("%q", got)
		}
	}
}

func TestDeprecated(t *testing.T) {
	warning := "stop it"
	crd := define(t, anything, func(crd *apiextensionsv1.CustomResourceDefinition) {
		s := crd.Spec.Versions[0].Schema
		crd.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{
			{Name: "v1alpha1", Served: true, Deprecated: true, Schema: s},
			{Name: "v1beta1", Served: true, Deprecated: true, DeprecationWarning: &warning, Schema: s},
			{Name: "v1beta2", Served: true, Schema: s},
			{Name: "v1", Served: true, Storage: true, Schema: s},
			{Name: "v2", Schema: s},
			{Name: "v3", Served: true, Deprecated: true, Schema: s},
		}
	})
	k := made(crd)
	for version, want := range map[string]string{
		"v1alpha1": "example.com/v1alpha1 Widget is deprecated; use example.com/v1 Widget",
		"v1beta1":  "stop it",
		"v1beta2":  "",
		"v1":       "",
		"v3":       "example.com/v3 Widget is deprecated",
	} {
		if got := k.Versions[version].Row.Deprecated; got != want {
			t.Errorf("%s: %q", version, got)
		}
	}
	if k.Versions["v2"] != nil || len(k.Rows()) != 5 || k.Row.GVK.Version != "v1" {
		t.Error("versions that are neither served nor stored are there")
	}
}

func TestRow(t *testing.T) {
	crd := define(t, anything, withStatus, func(crd *apiextensionsv1.CustomResourceDefinition) {
		crd.Status.AcceptedNames = crd.Spec.Names
		crd.Status.AcceptedNames.ShortNames = nil // somebody else has it
		v2 := crd.Spec.Versions[0]
		v2.Name, v2.Served, v2.Storage = "v2", true, false
		crd.Spec.Versions[0].Served = false
		crd.Spec.Versions = append(crd.Spec.Versions, v2)
	})
	rows := made(crd).rows
	if len(rows) != 2 {
		t.Fatal(rows)
	}
	r := rows[0]
	if !r.Custom.Stored || r.Custom.Served || rows[1].Custom.Stored || !rows[1].Custom.Served || rows[1].Custom.Main != r || r.Custom.Main != r || r.Custom.Definition != crd.Name {
		t.Errorf("%+v %+v", r.Custom, rows[1].Custom)
	}
	if r.Short != nil || r.Singular != "widget" || r.Categories[0] != "all" || r.Key("ns", "w") != "/registry/example.com/widgets/ns/w" {
		t.Errorf("%+v", r)
	}
	o := rows[1].New()
	if o.GetObjectKind().GroupVersionKind().String() != "example.com/v2, Kind=Widget" {
		t.Error(o)
	}
	if got := r.NewList().GetObjectKind().GroupVersionKind().String(); got != "example.com/v1, Kind=WidgetList" {
		t.Error(got)
	}
	owned := widget(t, `metadata: {name: w, namespace: ns, ownerReferences: [{apiVersion: v1, kind: Pod, name: p, uid: u, controller: true}]}`)
	if got := r.Indexes[api.IndexOwner](owned); !slices.Equal(got, []string{"u"}) {
		t.Error(got)
	}
	if got := r.Indexes[api.IndexOwner](widget(t, `{}`)); got != nil {
		t.Error(got)
	}
	if got := r.Fields["metadata.namespace"](owned); got != "ns" {
		t.Error(got)
	}
	if errs := r.Validate(widget(t, `{}`)); len(errs) > 0 {
		t.Error(errs)
	}
	if _, err := r.Custom.Read(widget(t, `{}`)); err != nil {
		t.Error(err)
	}
}
