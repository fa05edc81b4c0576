// Package schema says how the API types are built: which lists are maps by key,
// which structures are one value (structure.txt, over the Go types), and the
// OpenAPI definitions with their descriptions (definitions.gz). Both files are
// made by tools/openapi from the comments in k8s.io/api.
//
// Read structure.go for field management, smd.go for the same in the terms of
// structured-merge-diff, definitions.go for documents.
package schema

import (
	_ "embed"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
)

// Shape is how a value is divided among its owners.
type Shape uint8

const (
	Leaf   Shape = iota // one value: scalars, and what is atomic
	Struct              // by field
	Map                 // by key
	List                // by the keys inside its items
	Set                 // by the items themselves
)

// Type is the structure of one Go type. Types are shared and immutable.
type Type struct {
	Go     reflect.Type // never a pointer
	Name   string       // of the OpenAPI model; empty when the type has none
	Shape  Shape
	Fields []Field // of a struct, by JSON name; also of an atomic one
	Elem   *Type   // of maps and lists; also of atomic ones
	Keys   []Key   // of a List, by name
}

// Field is one field of a struct as JSON knows it.
type Field struct {
	Name      string
	Element   string // its path element: "f:" and the name
	Index     []int  // as reflect's FieldByIndex takes it
	OmitEmpty bool
	OmitZero  bool
	Type      *Type
}

// Key is one of the fields that identify an item of a list.
type Key struct {
	Name    string
	Index   []int
	Default string // as JSON; what an item without the field has. Empty: nothing
}

//go:embed structure.txt
var structureText string

// said is structure.txt by "MODEL FIELD".
var said = sync.OnceValue(func() map[string][]string {
	m := map[string][]string{}
	for line := range strings.Lines(structureText) {
		if f := strings.Fields(line); len(f) >= 3 {
			m[f[0]+" "+f[1]] = f[2:]
		}
	}
	return m
})

var (
	types      sync.Map // reflect.Type → *Type
	marshaler  = reflect.TypeFor[json.Marshaler]()
	rawJSON    = reflect.TypeFor[runtime.RawExtension]()
	typesBuild sync.Mutex
)

// Of is the structure of a Go type; pointers count as what they point to.
func Of(t reflect.Type) *Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if have, ok := types.Load(t); ok {
		return have.(*Type)
	}
	// Types refer to themselves (JSONSchemaProps): they are published when the whole is there.
	typesBuild.Lock()
	defer typesBuild.Unlock()
	b := builder{}
	out := b.named(t)
	for g, built := range b {
		types.LoadOrStore(g, built)
	}
	have, _ := types.Load(t)
	if have == nil {
		return out
	}
	return have.(*Type)
}

type builder map[reflect.Type]*Type

func (b builder) named(t reflect.Type) *Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if have, ok := types.Load(t); ok {
		return have.(*Type)
	}
	if have := b[t]; have != nil {
		return have
	}
	out := &Type{Go: t, Name: modelName(t)}
	b[t] = out
	switch {
	case t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler):
	case t.Kind() == reflect.Struct:
		out.Shape = Struct
		if word(out.Name, ".") == "atomic" {
			out.Shape = Leaf
		}
		b.fields(out, t, nil)
		slices.SortFunc(out.Fields, func(a, c Field) int { return strings.Compare(a.Name, c.Name) })
	case t.Kind() == reflect.Map:
		out.Shape, out.Elem = Map, b.named(t.Elem())
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		out.Elem = b.named(t.Elem())
	}
	return out
}

func modelName(t reflect.Type) string {
	if m, ok := reflect.Zero(t).Interface().(interface{ OpenAPIModelName() string }); ok {
		return m.OpenAPIModelName()
	}
	return ""
}

func word(model, field string) string {
	if w := said()[model+" "+field]; len(w) > 0 {
		return w[0]
	}
	return ""
}

// fields adds what JSON sees of a struct, embedded structs included.
func (b builder) fields(out *Type, t reflect.Type, at []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		index := append(slices.Clone(at), i)
		inline := inlined(f)
		switch {
		case name == "-" || !f.IsExported():
			continue
		case inline:
			inner := f.Type
			if inner.Kind() == reflect.Struct {
				b.fields(out, inner, index)
			}
			continue
		case name == "":
			name = f.Name
		}
		out.Fields = append(out.Fields, Field{
			Name: name, Element: "f:" + name, Index: index,
			OmitEmpty: strings.Contains(rest, "omitempty"), OmitZero: strings.Contains(rest, "omitzero"),
			Type: b.field(out.Name, name, f.Type),
		})
	}
}

// inlined tells whether JSON shows the fields of f as those of the struct around it.
func inlined(f reflect.StructField) bool {
	name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
	return strings.Contains(rest, "inline") || f.Anonymous && name == ""
}

// field is the type of a field, with what the field itself says of its lists and maps.
func (b builder) field(model, name string, t reflect.Type) *Type {
	base := b.named(t)
	words := said()[model+" "+name]
	if len(words) == 0 {
		return base
	}
	own := *base
	switch words[0] {
	case "atomic":
		own.Shape = Leaf
	case "set":
		own.Shape = Set
	case "map":
		own.Shape = List
		for _, w := range words[1:] {
			key, def, _ := strings.Cut(w, "=")
			own.Keys = append(own.Keys, Key{Name: key, Index: indexOf(base.Elem.Go, key), Default: def})
		}
		slices.SortFunc(own.Keys, func(a, c Key) int { return strings.Compare(a.Name, c.Name) })
	}
	return &own
}

// indexOf finds a key's field in an item; the item's Type may not be complete yet.
func indexOf(t reflect.Type, name string) []int {
	for i := range t.NumField() {
		f := t.Field(i)
		if n, _, _ := strings.Cut(f.Tag.Get("json"), ","); n == name && n != "" {
			return []int{i}
		} else if inlined(f) && f.Type.Kind() == reflect.Struct {
			if inner := indexOf(f.Type, name); inner != nil {
				return append([]int{i}, inner...)
			}
		}
	}
	return nil
}
