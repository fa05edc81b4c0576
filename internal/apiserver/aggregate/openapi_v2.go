package aggregate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
)

// part is what one backend adds to the OpenAPI v2 document: the paths of its group
// version and all that they refer to.
type part struct {
	Paths       map[string]any `json:"paths"`
	Definitions map[string]any `json:"definitions,omitempty"`
	Parameters  map[string]any `json:"parameters,omitempty"`
	hash        string
}

// The prefixes of references; what follows is a name.
const (
	toDefinition = "#/definitions/"
	toParameter  = "#/parameters/"
)

// decodeJSON keeps numbers as they are written.
func decodeJSON(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(into)
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// newPart takes what is below a path out of a document; nil when there is nothing.
func newPart(doc []byte, below string) (*part, error) {
	var whole part
	if err := decodeJSON(doc, &whole); err != nil {
		return nil, err
	}
	p := &part{Paths: map[string]any{}, Definitions: map[string]any{}, Parameters: map[string]any{}}
	for path, item := range whole.Paths {
		if strings.HasPrefix(path, below) {
			p.Paths[path] = item
		}
	}
	if len(p.Paths) == 0 {
		return nil, nil
	}
	var visit func(v any) any
	visit = func(v any) any {
		return walk(v, func(ref string) string {
			if name, ok := strings.CutPrefix(ref, toDefinition); ok {
				if d, ok := whole.Definitions[name]; ok && p.Definitions[name] == nil {
					p.Definitions[name] = d
					visit(d)
				}
			}
			if name, ok := strings.CutPrefix(ref, toParameter); ok {
				if d, ok := whole.Parameters[name]; ok && p.Parameters[name] == nil {
					p.Parameters[name] = d
					visit(d)
				}
			}
			return ref
		})
	}
	visit(p.Paths)
	b, err := encodeJSON(p)
	if err != nil {
		return nil, err
	}
	p.hash = hashOf(b)
	return p, nil
}

// walk copies a JSON value with other references.
func walk(v any, ref func(string) string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if s, ok := e.(string); ok && k == "$ref" {
				out[k] = ref(s)
			} else {
				out[k] = walk(e, ref)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = walk(e, ref)
		}
		return out
	}
	return v
}

// Into returns the server's own OpenAPI v2 document (JSON) with the parts in it. The
// server's paths win. Definitions that mean the same are there once; others of
// the same name get the name of their own that upstream gives them ("Name_v2").
func (d *Documents) Into(doc []byte) ([]byte, error) {
	if len(d.parts) == 0 {
		return doc, nil
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(doc, &whole); err != nil {
		return nil, err
	}
	var m merged
	for key, into := range map[string]*map[string]json.RawMessage{"paths": &m.paths, "definitions": &m.definitions, "parameters": &m.parameters} {
		*into = map[string]json.RawMessage{}
		if len(whole[key]) > 0 {
			if err := json.Unmarshal(whole[key], into); err != nil {
				return nil, err
			}
		}
	}
	for _, p := range d.parts {
		if err := m.add(p); err != nil {
			return nil, err
		}
	}
	out := make(map[string]any, len(whole)+1)
	for k, v := range whole {
		out[k] = v
	}
	out["paths"], out["definitions"] = m.paths, m.definitions
	if len(m.parameters) > 0 {
		out["parameters"] = m.parameters
	}
	return encodeJSON(out)
}

// merged is a document under way; only what collides is decoded.
type merged struct{ paths, definitions, parameters map[string]json.RawMessage }

func (m *merged) add(p *part) error {
	definitions, err := names(m.definitions, p.Definitions, toDefinition)
	if err != nil {
		return err
	}
	parameters, err := names(m.parameters, p.Parameters, toParameter)
	if err != nil {
		return err
	}
	ref := func(s string) string { return rename(rename(s, toDefinition, definitions), toParameter, parameters) }
	put := func(into map[string]json.RawMessage, name string, v any) error {
		if into[name] != nil {
			return nil
		}
		b, err := encodeJSON(walk(v, ref))
		into[name] = b
		return err
	}
	for _, path := range sortedKeys(p.Paths) {
		if err := put(m.paths, path, p.Paths[path]); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(p.Definitions) {
		if err := m.putDefinition(definitions[name], p.Definitions[name], put); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(p.Parameters) {
		if err := put(m.parameters, parameters[name], p.Parameters[name]); err != nil {
			return err
		}
	}
	return nil
}

const kindsKey = "x-kubernetes-group-version-kind"

// putDefinition adds a definition, or the kinds that it stands for to the one that is there.
func (m *merged) putDefinition(name string, v any, put func(map[string]json.RawMessage, string, any) error) error {
	raw := m.definitions[name]
	schema, _ := v.(map[string]any)
	more, _ := schema[kindsKey].([]any)
	if raw == nil || len(more) == 0 {
		return put(m.definitions, name, v)
	}
	var have map[string]any
	if err := decodeJSON(raw, &have); err != nil {
		return err
	}
	kinds, _ := have[kindsKey].([]any)
	before := len(kinds)
	for _, k := range more {
		known := false
		for _, h := range kinds {
			known = known || reflect.DeepEqual(h, k)
		}
		if !known {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) == before {
		return nil
	}
	have[kindsKey] = kinds
	b, err := encodeJSON(have)
	m.definitions[name] = b
	return err
}

// rename turns a reference of a kind into one to the name's new name.
func rename(ref, kind string, names map[string]string) string {
	if name, ok := strings.CutPrefix(ref, kind); ok && names[name] != "" {
		return kind + names[name]
	}
	return ref
}

// names chooses for everything in add a name in have: its own where that is free or
// means the same, otherwise one with a number. What a thing means depends on the names
// of what it refers to, so this goes on until no name changes; things that
// refer to each other in circles may be there twice.
func names(have map[string]json.RawMessage, add map[string]any, kind string) (map[string]string, error) {
	out := map[string]string{}
	decoded := map[string]any{}
	there := func(name string) (v any, taken bool, err error) {
		if v, taken = decoded[name]; taken {
			return v, true, nil
		}
		raw, taken := have[name]
		if !taken {
			return nil, false, nil
		}
		if err := decodeJSON(raw, &v); err != nil {
			return nil, true, fmt.Errorf("%s: %w", name, err)
		}
		v = withoutKinds(v)
		decoded[name] = v
		return v, true, nil
	}
	choose := func(name string) (string, error) {
		for n := 1; ; n++ {
			as := name
			if n > 1 {
				as = fmt.Sprintf("%s_v%d", name, n)
			}
			v, taken, err := there(as)
			if err != nil || !taken {
				return as, err
			}
			mine := walk(withoutKinds(add[name]), func(ref string) string {
				if ref == kind+name {
					return kind + as
				}
				return rename(ref, kind, out)
			})
			if reflect.DeepEqual(v, mine) {
				return as, nil
			}
		}
	}
	const rounds = 10 // as deep as one renamed thing may stand below another
	for range rounds {
		next := make(map[string]string, len(add))
		for name := range add {
			as, err := choose(name)
			if err != nil {
				return nil, err
			}
			next[name] = as
		}
		if maps.Equal(out, next) {
			break
		}
		out = next
	}
	return out, nil
}

func withoutKinds(v any) any {
	m, ok := v.(map[string]any)
	if !ok || m[kindsKey] == nil {
		return v
	}
	out := make(map[string]any, len(m))
	for k, e := range m {
		if k != kindsKey {
			out[k] = e
		}
	}
	return out
}
