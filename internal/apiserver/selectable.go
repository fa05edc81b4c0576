package apiserver

import (
	"slices"
	"strings"
	"sync"
	"unique"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client"
)

// What selectors and indexes ask of an object is kept in its entry, in a form that
// shares repeated strings, so that lists and watches decode only what they answer with.

// labelPairs are an object's labels.
type labelPairs []labelPair

type labelPair struct{ key, value unique.Handle[string] }

var _ labels.Labels = labelPairs(nil)

func (p labelPairs) Lookup(label string) (string, bool) {
	for i := range p {
		if p[i].key.Value() == label {
			return p[i].value.Value(), true
		}
	}
	return "", false
}

func (p labelPairs) Has(label string) bool { _, ok := p.Lookup(label); return ok }

func (p labelPairs) Get(label string) string { v, _ := p.Lookup(label); return v }

// term is a value under which an index holds an entry.
type term struct {
	index int // in the plan
	value unique.Handle[string]
}

// plan is how a kind's entries keep their fields and terms.
type plan struct {
	fields  []reader[string] // those that the key does not tell, by name
	indexes []reader[[]string]
}

type reader[T any] struct {
	name string
	get  func(api.Object) T
}

func readers[T any](m map[string]func(api.Object) T) []reader[T] {
	var out []reader[T]
	for name, get := range m {
		out = append(out, reader[T]{name, get})
	}
	slices.SortFunc(out, func(a, b reader[T]) int { return strings.Compare(a.name, b.name) })
	return out
}

var plans sync.Map // *api.Resource to *plan

func planOf(r *api.Resource) *plan {
	if p, ok := plans.Load(r); ok {
		return p.(*plan)
	}
	p := &plan{fields: readers(r.Fields), indexes: readers(r.Indexes)}
	p.fields = slices.DeleteFunc(p.fields, func(f reader[string]) bool { return f.name == fieldName || f.name == fieldNamespace })
	had, _ := plans.LoadOrStore(r, p)
	return had.(*plan)
}

func (p *plan) index(name string) int {
	return slices.IndexFunc(p.indexes, func(x reader[[]string]) bool { return x.name == name })
}

const (
	fieldName      = "metadata.name"
	fieldNamespace = "metadata.namespace"
)

// describe notes what will be asked for.
func (e *entry) describe(o api.Object) {
	e.tied = client.Tied(o)
	if l := o.GetLabels(); len(l) > 0 {
		e.labels = make(labelPairs, 0, len(l))
		for k, v := range l {
			e.labels = append(e.labels, labelPair{unique.Make(k), unique.Make(v)})
		}
	}
	p := planOf(e.res)
	if len(p.fields) > 0 {
		e.fields = make([]unique.Handle[string], len(p.fields))
		for i, f := range p.fields {
			e.fields[i] = unique.Make(f.get(o))
		}
	}
	for i, x := range p.indexes {
		for _, v := range x.get(o) {
			e.terms = append(e.terms, term{i, unique.Make(v)})
		}
	}
}

func (e *entry) name() string { return e.key[strings.LastIndexByte(e.key, '/')+1:] }

func (e *entry) namespace() string {
	if !e.res.Namespaced {
		return ""
	}
	rest := e.key[:strings.LastIndexByte(e.key, '/')]
	return rest[strings.LastIndexByte(rest, '/')+1:]
}

// fieldRef is where entries keep a selectable field.
type fieldRef int

const (
	noField fieldRef = -1 - iota
	nameField
	namespaceField
)

func fieldOf(r *api.Resource, name string) fieldRef {
	switch {
	case r.Fields[name] == nil:
		return noField
	case name == fieldName:
		return nameField
	case name == fieldNamespace:
		return namespaceField
	}
	return fieldRef(slices.IndexFunc(planOf(r).fields, func(f reader[string]) bool { return f.name == name }))
}

func (f fieldRef) of(e *entry) string {
	switch f {
	case noField:
		return ""
	case nameField:
		return e.name()
	case namespaceField:
		return e.namespace()
	}
	return e.fields[f].Value()
}

// objectFields offers an entry's selectable fields by name.
type objectFields struct{ e *entry }

func (f objectFields) Has(field string) bool   { return f.e.res.Fields[field] != nil }
func (f objectFields) Get(field string) string { return fieldOf(f.e.res, field).of(f.e) }
