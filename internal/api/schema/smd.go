package schema

import (
	"encoding/json"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// Parseable is a Go type as structured-merge-diff reads it.
func Parseable(t reflect.Type) typed.ParseableType {
	m := &merging{names: map[*Type]string{}}
	ref := m.ref(Of(t))
	return typed.ParseableType{Schema: &schema.Schema{Types: m.types}, TypeRef: ref}
}

// merging gathers the type definitions of one kind.
type merging struct {
	types []schema.TypeDef
	names map[*Type]string
}

func (m *merging) ref(t *Type) schema.TypeRef {
	if t.Go.Kind() != reflect.Struct || t.Fields == nil {
		return schema.TypeRef{Inlined: m.atom(t)}
	}
	name, ok := m.names[t]
	if !ok {
		name = t.Name
		if name == "" {
			name = t.Go.String()
		}
		if t.Shape == Leaf && Of(t.Go) != t {
			name += " atomic"
		}
		m.names[t] = name
		at := len(m.types)
		m.types = append(m.types, schema.TypeDef{Name: name})
		atom := m.atom(t)
		m.types[at].Atom = atom
	}
	return schema.TypeRef{NamedType: &name}
}

var (
	quantity    = reflect.TypeFor[resource.Quantity]()
	intOrString = reflect.TypeFor[intstr.IntOrString]()
	duration    = reflect.TypeFor[metav1.Duration]()
	times       = map[reflect.Type]bool{reflect.TypeFor[metav1.Time](): true, reflect.TypeFor[metav1.MicroTime](): true}
)

func scalar(s schema.Scalar) schema.Atom { return schema.Atom{Scalar: &s} }

func (m *merging) atom(t *Type) schema.Atom {
	relationship := func(granular schema.ElementRelationship) schema.ElementRelationship {
		if t.Shape == Leaf {
			return schema.Atomic
		}
		return granular
	}
	switch k := t.Go.Kind(); {
	case t.Go == quantity || t.Go == intOrString:
		return scalar(schema.Untyped)
	case times[t.Go] || t.Go == duration:
		return scalar(schema.String)
	case k == reflect.Struct && t.Fields != nil:
		out := schema.Map{ElementRelationship: relationship(schema.Separable)}
		for _, f := range t.Fields {
			out.Fields = append(out.Fields, schema.StructField{Name: f.Name, Type: m.ref(f.Type)})
		}
		return schema.Atom{Map: &out}
	case k == reflect.Map:
		return schema.Atom{Map: &schema.Map{ElementType: m.ref(t.Elem), ElementRelationship: relationship(schema.Separable)}}
	case t.Elem != nil:
		return schema.Atom{List: m.list(t)}
	case k == reflect.String || k == reflect.Slice:
		return scalar(schema.String)
	case k == reflect.Bool:
		return scalar(schema.Boolean)
	case k >= reflect.Int && k <= reflect.Float64:
		return scalar(schema.Numeric)
	}
	// What writes itself (raw objects) may be anything, and is one value.
	s := schema.Untyped
	any := schema.TypeRef{Inlined: schema.Atom{Scalar: &s,
		List: &schema.List{ElementRelationship: schema.Atomic}, Map: &schema.Map{ElementRelationship: schema.Atomic}}}
	any.Inlined.List.ElementType, any.Inlined.Map.ElementType = untyped, untyped
	return any.Inlined
}

// untyped is the content of a value that nobody looks into.
var untyped = func() schema.TypeRef {
	s := schema.Untyped
	inner := schema.TypeRef{Inlined: schema.Atom{Scalar: &s}}
	deep := schema.Atom{Scalar: &s, List: &schema.List{ElementRelationship: schema.Atomic}, Map: &schema.Map{ElementRelationship: schema.Atomic}}
	deep.List.ElementType, deep.Map.ElementType = inner, inner
	// Atomic content refers to itself, so that any depth is accepted.
	ref := schema.TypeRef{Inlined: deep}
	deep.List.ElementType, deep.Map.ElementType = ref, ref
	return ref
}()

func (m *merging) list(t *Type) *schema.List {
	out := &schema.List{ElementType: m.ref(t.Elem)}
	switch t.Shape {
	case Leaf:
		out.ElementRelationship = schema.Atomic
		return out
	case Set:
		out.ElementRelationship = schema.Associative
		return out
	}
	out.ElementRelationship = schema.Associative
	for _, k := range t.Keys {
		out.Keys = append(out.Keys, k.Name)
		if k.Default != "" {
			m.keyDefault(t.Elem, k)
		}
	}
	return out
}

// keyDefault notes a default in the definition of the list's items.
func (m *merging) keyDefault(item *Type, k Key) {
	var v any
	if err := json.NewDecoder(strings.NewReader(k.Default)).Decode(&v); err != nil {
		return
	}
	name := m.names[item]
	for i := range m.types {
		if m.types[i].Name != name || m.types[i].Map == nil {
			continue
		}
		for j := range m.types[i].Map.Fields {
			if f := &m.types[i].Map.Fields[j]; f.Name == k.Name {
				f.Default = v
			}
		}
	}
}
