package custom

import (
	"slices"
	"strconv"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Read is what decoding a request does to an object: its metadata is brought into shape,
// what the schema does not know goes, nulls go where they may not be, and defaults come.
// With strict it returns the paths of what went, for example "spec.foo"; Kubernetes tells
// them as `unknown field "spec.foo"`. An error is about metadata that is none.
func (v *Version) Read(o *unstructured.Unstructured, strict bool) (unknown []string, err error) {
	unknown, err = v.shape(o, strict, false)
	if err == nil {
		v.Default(o)
	}
	return unknown, err
}

// Prune is Read without defaults: what is done to an object after it was converted to this version.
func (v *Version) Prune(o *unstructured.Unstructured) error {
	_, err := v.shape(o, false, false)
	return err
}

// Stored is Read for an object that comes from the store: metadata that is none goes
// without a word, and a generation that old servers did not give is 1.
func (v *Version) Stored(o *unstructured.Unstructured) error {
	if _, err := v.shape(o, false, true); err != nil {
		return err
	}
	if o.GetGeneration() == 0 {
		o.SetGeneration(1)
	}
	v.Default(o)
	return nil
}

// Default fills in the schema's defaults. Nulls that may not be are dropped or replaced first.
func (v *Version) Default(o *unstructured.Unstructured) {
	if root := v.compiled().root; root != nil {
		root.fill(o.Object)
	}
}

func (v *Version) shape(o *unstructured.Unstructured, strict, drop bool) (unknown []string, err error) {
	c := v.compiled()
	if c.err != nil {
		return nil, c.err
	}
	m, found, unknown, err := shapeMetadata(o.Object, strict, drop)
	if err != nil {
		return nil, err
	}
	kind, hasKind := o.Object["kind"]
	version, hasVersion := o.Object["apiVersion"]
	if !v.loose {
		p := pruner{strict: strict}
		p.root(o.Object, c.root)
		slices.Sort(p.unknown)
		unknown = append(unknown, p.unknown...)
		c.root.dropNulls(o.Object)
	}
	if c.root != nil && c.root.below&hasEmbedded != 0 {
		if drop {
			c.root.dropMetadata(o.Object)
		}
		ferr, paths := objectmeta.CoerceWithOptions(nil, o.Object, c.structural, false,
			objectmeta.CoerceOptions{DropInvalidFields: drop, ReturnUnknownFieldPaths: strict})
		if ferr != nil {
			return nil, ferr
		}
		unknown = append(unknown, paths...)
	}
	// What the schema says of these does not matter.
	if hasKind {
		o.Object["kind"] = kind
	}
	if hasVersion {
		o.Object["apiVersion"] = version
	}
	if found {
		o.Object["metadata"] = m
	}
	return unknown, nil
}

// pruner takes out what the schema does not know.
type pruner struct {
	strict  bool
	path    []step
	unknown []string
}

type step struct {
	key   string
	index int // of a list; -1: it is a key
}

func (p *pruner) enter(key string, index int) {
	if p.strict {
		p.path = append(p.path, step{key, index})
	}
}

func (p *pruner) leave() {
	if p.strict {
		p.path = p.path[:len(p.path)-1]
	}
}

func (p *pruner) found(key string) {
	if !p.strict {
		return
	}
	var b strings.Builder
	for i, s := range append(p.path, step{key, -1}) {
		switch {
		case s.index >= 0:
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		case i > 0:
			b.WriteString("." + s.key)
		default:
			b.WriteString(s.key)
		}
	}
	p.unknown = append(p.unknown, b.String())
}

func isMeta(key string) bool { return key == "apiVersion" || key == "kind" || key == "metadata" }

// root prunes an object, whose type and metadata are known to be there.
func (p *pruner) root(x map[string]any, n *node) {
	if n == nil {
		n = &node{}
	}
	if !n.embedded {
		c := *n
		c.embedded = true
		n = &c
	}
	p.prune(x, n)
}

func (p *pruner) prune(x any, n *node) {
	if n != nil && n.preserve {
		p.keep(x, n)
		return
	}
	switch x := x.(type) {
	case map[string]any:
		for k, v := range x {
			if n != nil && n.embedded && isMeta(k) {
				continue
			}
			if n != nil {
				if sub, ok := n.props[k]; ok {
					p.into(k, v, sub)
					continue
				}
				if n.extras {
					p.into(k, v, n.extra)
					continue
				}
			}
			if n == nil || !isMeta(k) || len(p.path) > 0 {
				p.found(k)
			}
			delete(x, k)
		}
	case []any:
		var items *node
		if n != nil {
			items = n.items
		}
		for i, v := range x {
			p.enter("", i)
			p.prune(v, items)
			p.leave()
		}
	}
}

func (p *pruner) into(key string, v any, n *node) {
	switch v.(type) {
	case map[string]any, []any:
		p.enter(key, -1)
		p.prune(v, n)
		p.leave()
	}
}

// keep goes on to where the schema says more.
func (p *pruner) keep(x any, n *node) {
	if n == nil {
		return
	}
	switch x := x.(type) {
	case map[string]any:
		for k, v := range x {
			if n.embedded && isMeta(k) {
				continue
			}
			if sub, ok := n.props[k]; ok {
				p.into(k, v, sub)
			} else if n.extras {
				p.into(k, v, n.extra)
			}
		}
	case []any:
		for i, v := range x {
			p.enter("", i)
			p.keep(v, n.items)
			p.leave()
		}
	}
}

// dropNulls takes out nulls that may not be and that no default replaces.
func (n *node) dropNulls(x any) {
	if n == nil {
		return
	}
	switch x := x.(type) {
	case map[string]any:
		for k, v := range x {
			sub := n.under(k)
			if v == nil && sub != nil && !sub.nullable && sub.fallback == nil {
				delete(x, k)
			} else {
				sub.dropNulls(v)
			}
		}
	case []any:
		if n.items != nil {
			for _, v := range x {
				n.items.dropNulls(v)
			}
		}
	}
}

// dropMetadata takes out of embedded objects metadata that is not even an object: what was stored
// before the schema said what it is must not be in the way of all others. The library has no mercy
// with it, and Kubernetes lists nothing of such a kind.
func (n *node) dropMetadata(x any) {
	if n == nil || n.below&hasEmbedded == 0 && !n.embedded {
		return
	}
	switch x := x.(type) {
	case map[string]any:
		for k, v := range x {
			if _, ok := v.(map[string]any); n.embedded && k == "metadata" && v != nil && !ok {
				delete(x, k)
			} else {
				n.under(k).dropMetadata(v)
			}
		}
	case []any:
		for _, v := range x {
			n.items.dropMetadata(v)
		}
	}
}

// fill puts defaults where nothing is, or a null that may not be.
func (n *node) fill(x any) {
	if n == nil || n.below&hasDefaults == 0 {
		return
	}
	switch x := x.(type) {
	case map[string]any:
		for _, k := range n.defaults {
			sub := n.props[k]
			if v, ok := x[k]; !ok || v == nil && !sub.nullable {
				x[k] = runtime.DeepCopyJSONValue(sub.fallback)
			}
		}
		for k, v := range x {
			sub, ok := n.props[k]
			if !ok {
				sub = n.extra
				if sub != nil && v == nil && !sub.nullable && sub.fallback != nil {
					v = runtime.DeepCopyJSONValue(sub.fallback)
					x[k] = v
				}
			}
			sub.fill(v)
		}
	case []any:
		if n.items == nil {
			return
		}
		for i, v := range x {
			if v == nil && !n.items.nullable && n.items.fallback != nil {
				v = runtime.DeepCopyJSONValue(n.items.fallback)
				x[i] = v
			}
			n.items.fill(v)
		}
	}
}
