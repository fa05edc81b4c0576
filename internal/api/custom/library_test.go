package custom

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/cel/common"
)

// The nodes say what the libraries of Kubernetes would: schemas and objects at random
// go through both.

// libraryRead is Read by the libraries alone.
func libraryRead(f *full, o *unstructured.Unstructured) (unknown []string, err error) {
	kind, version := o.GetKind(), o.GetAPIVersion()
	meta, found, paths, err := objectmeta.GetObjectMetaWithOptions(o.Object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return nil, err
	}
	unknown = append(unknown, paths...)
	unknown = append(unknown, pruning.PruneWithOptions(o.Object, f.structural, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})...)
	defaulting.PruneNonNullableNullsWithoutDefaults(o.Object, f.structural)
	ferr, paths := objectmeta.CoerceWithOptions(nil, o.Object, f.structural, false, objectmeta.CoerceOptions{ReturnUnknownFieldPaths: true})
	if ferr != nil {
		return nil, ferr
	}
	unknown = append(unknown, paths...)
	o.SetKind(kind)
	o.SetAPIVersion(version)
	if found {
		if err := objectmeta.SetObjectMeta(o.Object, meta); err != nil {
			return nil, err
		}
	}
	defaulting.Default(o.Object, f.structural)
	return unknown, nil
}

func compare(t *testing.T, props *apiextensionsv1.JSONSchemaProps, objects ...map[string]any) {
	t.Helper()
	crd := defineSchema(props, withStatus)
	v := made(crd).Versions["v1"]
	in, err := v.schema()
	if err != nil {
		return
	}
	s, err := structural.NewStructural(in)
	if err != nil || len(structural.ValidateStructural(nil, s)) > 0 {
		return
	}
	f, err := v.fullForms()
	if err != nil {
		return
	}
	tell := func() string {
		b, _ := json.MarshalIndent(props, "", " ")
		return string(b)
	}
	var last *unstructured.Unstructured
	for _, m := range objects {
		o := &unstructured.Unstructured{Object: m}
		o.SetAPIVersion("example.com/v1")
		o.SetKind("Widget")
		ours, theirs := o.DeepCopy(), o.DeepCopy()
		unknown, err := v.Read(ours, true)
		want, werr := libraryRead(f, theirs)
		if (err == nil) != (werr == nil) {
			t.Fatalf("%s\nread %v\n%v, the library: %v", tell(), m, err, werr)
		}
		if err != nil {
			continue
		}
		if !slices.Equal(unknown, want) || !reflect.DeepEqual(ours, theirs) {
			t.Fatalf("%s\nread %v\n as %v %q\nnot %v %q", tell(), m, ours.Object, unknown, theirs.Object, want)
		}
		again := ours.DeepCopy()
		// A default that is no embedded object is refused in definitions, which these have not been through.
		if u, err := v.Read(again, true); v.compiled().root.below&hasEmbedded == 0 && (err != nil || len(u) > 0 || !reflect.DeepEqual(again, ours)) {
			t.Fatalf("%s\n%v, read again, is %v %q %v", tell(), ours, again, u, err)
		}
		for _, o := range []*unstructured.Unstructured{o, ours} {
			errs := inOrder(v.Validate(context.Background(), o))
			if w := inOrder(libraryValidate(f, o)); !slices.Equal(errs, w) {
				t.Fatalf("%s\n%v\n%q\nthe library: %q", tell(), o.Object, errs, w)
			}
			c := v.compiled()
			valid := validation.ValidateCustomResource(nil, o.Object, f.object)
			if got := c.root.check(o.Object); got == yes && len(valid) > 0 || got == no && len(valid) == 0 {
				t.Fatalf("%s\n%v: %d\nthe library: %v", tell(), o.Object, got, valid)
			}
		}
		for _, old := range []*unstructured.Unstructured{last, mixed(ours, last)} {
			if old == nil {
				continue
			}
			if got, want := inOrder(v.ValidateUpdate(context.Background(), ours, old)), inOrder(libraryUpdate(f, ours, old)); !slices.Equal(got, want) {
				t.Fatalf("%s\n%v over\n%v\n%q\nthe library: %q", tell(), ours.Object, old.Object, got, want)
			}
			if got, want := inOrder(v.ValidateStatus(context.Background(), ours, old)), inOrder(libraryStatus(f, ours, old)); !slices.Equal(got, want) {
				t.Fatalf("%s\nstatus of %v over\n%v\n%q\nthe library: %q", tell(), ours.Object, old.Object, got, want)
			}
		}
		last = ours
	}
}

func libraryValidate(f *full, o *unstructured.Unstructured) field.ErrorList {
	errs := validation.ValidateCustomResource(nil, o.Object, f.object)
	errs = append(errs, objectmeta.Validate(context.Background(), nil, o.Object, f.structural, false)...)
	return append(errs, listtype.ValidateListSetsAndMaps(nil, f.structural, o.Object)...)
}

func libraryUpdate(f *full, next, old *unstructured.Unstructured) field.ErrorList {
	both := common.NewCorrelatedObject(next.Object, old.Object, &model.Structural{Structural: f.structural})
	errs := validation.ValidateCustomResourceUpdate(nil, next.Object, old.Object, f.object, validation.WithRatcheting(both))
	errs = append(errs, objectmeta.Validate(context.Background(), nil, next.Object, f.structural, false)...)
	return append(errs, libraryLists(f, next, old)...)
}

func libraryStatus(f *full, next, old *unstructured.Unstructured) (errs field.ErrorList) {
	both := common.NewCorrelatedObject(next.Object, old.Object, &model.Structural{Structural: f.structural})
	if status, ok := next.Object["status"]; ok && f.status != nil {
		errs = validation.ValidateCustomResourceUpdate(field.NewPath("status"), status, old.Object["status"], f.status, validation.WithRatcheting(both.Key("status")))
	}
	return append(errs, libraryLists(f, next, old)...)
}

func libraryLists(f *full, next, old *unstructured.Unstructured) field.ErrorList {
	if len(listtype.ValidateListSetsAndMaps(nil, f.structural, old.Object)) > 0 {
		return nil
	}
	return listtype.ValidateListSetsAndMaps(nil, f.structural, next.Object)
}

// mixed has some fields of each: some of what is wrong was wrong before.
func mixed(a, b *unstructured.Unstructured) *unstructured.Unstructured {
	if b == nil {
		return nil
	}
	out := a.DeepCopy()
	i := 0
	for _, k := range slices.Sorted(maps.Keys(b.Object)) {
		if i++; i%2 == 0 {
			out.Object[k] = runtime.DeepCopyJSONValue(b.Object[k])
		}
	}
	return out
}

// inOrder sorts errors: those of maps come in any order.
func inOrder(errs field.ErrorList) (out []string) {
	for _, e := range errs {
		out = append(out, e.Error())
	}
	slices.Sort(out)
	return out
}

func TestNodesAgreeWithLibrary(t *testing.T) {
	n := 4000
	if testing.Short() {
		n = 500
	}
	for seed := range n {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		props := randomSchema(r, 3)
		props.Type, props.Nullable, props.Enum, props.Default, props.XIntOrString, props.XListType, props.Format = "object", false, nil, nil, false, nil, ""
		var objects []map[string]any
		for range 8 {
			m, ok := randomValue(r, props, 4).(map[string]any)
			if !ok {
				m = map[string]any{}
			}
			m["metadata"] = randomMetadata(r)
			objects = append(objects, m)
		}
		compare(t, props, objects...)
	}
}

var names = []string{"a", "b", "c", "name", "status", "metadata", "kind", ""}

func randomSchema(r *rand.Rand, depth int) *apiextensionsv1.JSONSchemaProps {
	p := &apiextensionsv1.JSONSchemaProps{}
	some := func(n int) bool { return r.IntN(n) == 0 }
	number := func() *float64 { f := float64(r.IntN(9)-3) / float64(1+r.IntN(2)); return &f }
	size := func() *int64 { n := int64(r.IntN(5)); return &n }
	p.Nullable = some(5)
	kinds := []string{"string", "integer", "number", "boolean", "object", "array", "object", "array"}
	if depth <= 0 {
		kinds = kinds[:4]
	}
	p.Type = kinds[r.IntN(len(kinds))]
	switch p.Type {
	case "object":
		switch r.IntN(4) {
		case 0:
			p.AdditionalProperties = &apiextensionsv1.JSONSchemaPropsOrBool{Allows: some(2)}
			if some(2) {
				p.AdditionalProperties = &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: randomSchema(r, depth-1)}
			}
		default:
			p.Properties = map[string]apiextensionsv1.JSONSchemaProps{}
			for range 1 + r.IntN(4) {
				p.Properties[names[r.IntN(len(names))]] = *randomSchema(r, depth-1)
			}
		}
		if some(6) {
			yes := true
			p.XPreserveUnknownFields = &yes
		}
		p.XEmbeddedResource = depth < 3 && some(8)
		if some(4) {
			p.Required = []string{names[r.IntN(len(names))]}
		}
	case "array":
		p.Items = &apiextensionsv1.JSONSchemaPropsOrArray{Schema: randomSchema(r, depth-1)}
		switch {
		case some(3):
			set := "set"
			p.XListType = &set
		case some(2) && p.Items.Schema.Type == "object":
			m := "map"
			p.XListType, p.XListMapKeys = &m, []string{"a"}
			if some(2) {
				p.XListMapKeys = []string{"a", "b"}
			}
		}
	case "integer", "string":
		if some(6) {
			p.Type, p.XIntOrString = "", true
		}
	}
	addLimits(r, p, number, size)
	junctor := func() *apiextensionsv1.JSONSchemaProps {
		q := &apiextensionsv1.JSONSchemaProps{}
		addLimits(r, q, number, size)
		if len(p.Properties) > 0 {
			for name := range p.Properties {
				sub := apiextensionsv1.JSONSchemaProps{}
				addLimits(r, &sub, number, size)
				q.Properties = map[string]apiextensionsv1.JSONSchemaProps{name: sub}
				break
			}
			if some(2) {
				q.Required = []string{names[r.IntN(len(names))]}
			}
		}
		return q
	}
	if some(6) {
		p.AnyOf = append(p.AnyOf, *junctor(), *junctor())
	}
	if some(6) {
		p.OneOf = append(p.OneOf, *junctor(), *junctor())
	}
	if some(6) {
		p.AllOf = append(p.AllOf, *junctor(), *junctor())
	}
	if some(8) {
		p.Not = junctor()
	}
	if some(5) {
		v := randomValue(r, p, depth)
		// Defaults are valid where definitions are, so nulls in them are rare.
		if b, err := json.Marshal(v); err == nil && !strings.Contains(string(b), "null") {
			p.Default = &apiextensionsv1.JSON{Raw: b}
		}
	}
	return p
}

func addLimits(r *rand.Rand, p *apiextensionsv1.JSONSchemaProps, number func() *float64, size func() *int64) {
	some := func(n int) bool { return r.IntN(n) == 0 }
	if some(5) {
		p.Minimum, p.ExclusiveMinimum = number(), some(2)
	}
	if some(5) {
		p.Maximum, p.ExclusiveMaximum = number(), some(2)
	}
	if some(9) {
		p.MultipleOf = number()
	}
	if some(5) {
		p.MinLength = size()
	}
	if some(5) {
		p.MaxLength = size()
	}
	if some(6) {
		p.Pattern = []string{"^a", "b$", "^[ab]*$", "é"}[r.IntN(4)]
	}
	if some(5) {
		p.Format = []string{"int32", "int64", "double", "float", "ipv4", "date-time", "uuid", "nonsense", "duration", "byte"}[r.IntN(10)]
	}
	if some(8) {
		p.MaxItems = size()
	}
	if some(8) {
		p.MinItems = size()
	}
	if some(8) {
		p.MaxProperties = size()
	}
	if some(8) {
		p.MinProperties = size()
	}
	if some(8) {
		for range 1 + r.IntN(3) {
			b, _ := json.Marshal(scalars[r.IntN(len(scalars))])
			p.Enum = append(p.Enum, apiextensionsv1.JSON{Raw: b})
		}
	}
}

var scalars = []any{"a", "ab", "", "10.0.0.1", "é", "5s", int64(0), int64(1), int64(-2), int64(3), int64(1) << 40, 1.5, -0.5, 2.0, true, false, nil, "2020-01-02T03:04:05Z", int64(65), "A"}

// randomValue fits the schema more often than not.
func randomValue(r *rand.Rand, p *apiextensionsv1.JSONSchemaProps, depth int) any {
	if r.IntN(9) == 0 || p == nil {
		switch r.IntN(6) {
		case 0:
			return map[string]any{names[r.IntN(len(names))]: scalars[r.IntN(len(scalars))]}
		case 1:
			return []any{scalars[r.IntN(len(scalars))]}
		}
		return scalars[r.IntN(len(scalars))]
	}
	switch p.Type {
	case "object":
		m := map[string]any{}
		for name, sub := range p.Properties {
			if r.IntN(4) > 0 {
				m[name] = randomValue(r, &sub, depth-1)
			}
		}
		for r.IntN(3) == 0 {
			var sub *apiextensionsv1.JSONSchemaProps
			if p.AdditionalProperties != nil {
				sub = p.AdditionalProperties.Schema
			}
			m[names[r.IntN(len(names))]] = randomValue(r, sub, depth-1)
		}
		if p.XEmbeddedResource && r.IntN(3) > 0 {
			m["apiVersion"], m["kind"], m["metadata"] = "v1", "Thing", randomMetadata(r)
		}
		return m
	case "array":
		list := []any{}
		for range r.IntN(4) {
			list = append(list, randomValue(r, p.Items.Schema, depth-1))
		}
		return list
	}
	for range 6 {
		v := scalars[r.IntN(len(scalars))]
		if fmt.Sprintf("%T", v) == map[string]string{"string": "string", "integer": "int64", "number": "float64", "boolean": "bool", "": "string"}[p.Type] {
			return v
		}
	}
	return scalars[r.IntN(len(scalars))]
}

func randomMetadata(r *rand.Rand) any {
	m := map[string]any{"name": "w", "namespace": "ns", "uid": "u"}
	odd := []func(){
		func() { m["labels"] = map[string]any{"a": "b"} },
		func() { m["labels"] = map[string]any{} },
		func() { m["labels"] = map[string]any{"a": nil} },
		func() { m["annotations"] = map[string]any{"a": int64(1)} },
		func() { m["creationTimestamp"] = nil },
		func() { m["creationTimestamp"] = "2020-01-02T03:04:05Z" },
		func() { m["creationTimestamp"] = "2020-01-02T03:04:05.5Z" },
		func() { m["creationTimestamp"] = "2020-01-02T03:04:05+01:00" },
		func() { m["creationTimestamp"] = "today" },
		func() { m["deletionTimestamp"] = "2021-01-01T00:00:00Z" },
		func() { m["generation"] = int64(3) },
		func() { m["generation"] = int64(0) },
		func() { m["generation"] = 2.0 },
		func() { m["deletionGracePeriodSeconds"] = int64(0) },
		func() { m["finalizers"] = []any{"a/b"} },
		func() { m["finalizers"] = []any{} },
		func() { m["finalizers"] = []any{nil} },
		func() {
			m["ownerReferences"] = []any{map[string]any{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "", "controller": true}}
		},
		func() { m["ownerReferences"] = []any{map[string]any{"apiVersion": "v1"}} },
		func() {
			m["ownerReferences"] = []any{map[string]any{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "", "more": true}}
		},
		func() {
			m["managedFields"] = []any{map[string]any{"manager": "m", "operation": "Update", "apiVersion": "v1", "time": "2020-01-02T03:04:05Z", "fieldsType": "FieldsV1", "fieldsV1": map[string]any{"f:spec": map[string]any{}}}}
		},
		func() { m["managedFields"] = []any{map[string]any{"manager": "", "fieldsV1": nil}} },
		func() { m["name"] = "" },
		func() { m["name"] = int64(1) },
		func() { m["Name"] = "x" },
		func() { m["more"] = map[string]any{"x": int64(1)} },
		func() { m["selfLink"] = nil },
	}
	for range r.IntN(3) {
		odd[r.IntN(len(odd))]()
	}
	switch r.IntN(40) {
	case 0:
		return nil
	case 1:
		return "metadata"
	}
	return m
}

func FuzzRead(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"type":"string","default":"x"}}}`, `{"a":null,"b":1}`)
	f.Add(`{"type":"object","properties":{"a":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}}}}`, `{"a":["x","x"]}`)
	f.Add(`{"type":"object","x-kubernetes-preserve-unknown-fields":true,"x-kubernetes-validations":[{"rule":"self.a > 1"}]}`, `{"a":[]}`)
	f.Fuzz(func(t *testing.T, schemaText, objectText string) {
		var props apiextensionsv1.JSONSchemaProps
		var m map[string]any
		if json.Unmarshal([]byte(schemaText), &props) != nil {
			return
		}
		o := &unstructured.Unstructured{}
		if json.Unmarshal([]byte(objectText), &m) != nil || m == nil {
			return
		}
		if err := o.UnmarshalJSON([]byte(strings.Replace(objectText, "{", `{"apiVersion":"example.com/v1","kind":"Widget",`, 1))); err != nil {
			return
		}
		if strings.Contains(schemaText, "x-kubernetes-validations") {
			// Rules are compiled by CEL, at length: that they do no harm is seen without a comparison.
			v := made(defineSchema(&props)).Versions["v1"]
			if _, err := v.Read(o, true); err == nil {
				v.Validate(context.Background(), o)
				v.SchemaJSON()
				v.SchemaV2JSON()
			}
			return
		}
		compare(t, &props, o.Object)
	})
}
