package aggregate

import (
	"maps"
	"strings"
)

// asV3 writes the part as an OpenAPI v3 document. What v2 has no words for (null,
// unions) is lost, as it was before.
func (p *part) asV3() ([]byte, error) {
	paths := map[string]any{}
	for path, item := range p.Paths {
		m, ok := item.(map[string]any)
		if !ok {
			continue
		}
		out := map[string]any{}
		for k, v := range m {
			switch op, isMap := v.(map[string]any); {
			case k == "parameters":
				params, _ := p.parametersV3(v, nil)
				out[k] = params
			case isMap:
				out[k] = p.operationV3(op)
			default:
				out[k] = v
			}
		}
		paths[path] = out
	}
	schemas := map[string]any{}
	for name, d := range p.Definitions {
		schemas[name] = refsV3(d)
	}
	doc := map[string]any{
		"openapi": "3.0.0", "info": map[string]any{"title": "Kubernetes", "version": "unversioned"},
		"paths": paths, "components": map[string]any{"schemas": schemas},
	}
	return encodeJSON(doc)
}

func refsV3(v any) any {
	return walk(v, func(ref string) string {
		if name, ok := strings.CutPrefix(ref, toDefinition); ok {
			return "#/components/schemas/" + name
		}
		return ref
	})
}

var anyMedia = []any{"application/json"}

func (p *part) operationV3(op map[string]any) map[string]any {
	out := maps.Clone(op)
	delete(out, "consumes")
	delete(out, "produces")
	delete(out, "schemes")
	consumes, _ := op["consumes"].([]any)
	params, body := p.parametersV3(op["parameters"], consumes)
	delete(out, "parameters")
	if len(params) > 0 {
		out["parameters"] = params
	}
	if body != nil {
		out["requestBody"] = body
	}
	produces, _ := op["produces"].([]any)
	responses, _ := op["responses"].(map[string]any)
	answers := map[string]any{}
	for code, r := range responses {
		m, ok := r.(map[string]any)
		if !ok {
			continue
		}
		a := maps.Clone(m)
		delete(a, "schema")
		if m["schema"] != nil {
			a["content"] = content(produces, m["schema"])
		}
		answers[code] = a
	}
	out["responses"] = answers
	return out
}

func content(media []any, schema any) map[string]any {
	if len(media) == 0 {
		media = anyMedia
	}
	out := map[string]any{}
	for _, m := range media {
		if s, ok := m.(string); ok {
			out[s] = map[string]any{"schema": refsV3(schema)}
		}
	}
	return out
}

// typeKeys are what v2 says of a parameter's type beside it, and v3 in a schema.
var typeKeys = []string{"type", "format", "items", "default", "enum", "uniqueItems", "minimum", "maximum", "pattern", "minLength", "maxLength"}

// parametersV3 splits parameters from the body among them.
func (p *part) parametersV3(v any, consumes []any) (params []any, body map[string]any) {
	list, _ := v.([]any)
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			continue
		}
		if ref, ok := m["$ref"].(string); ok {
			if m, ok = p.Parameters[strings.TrimPrefix(ref, toParameter)].(map[string]any); !ok {
				continue
			}
		}
		out := maps.Clone(m)
		if m["in"] == "body" {
			body = map[string]any{"content": content(consumes, m["schema"])}
			for _, k := range []string{"description", "required"} {
				if m[k] != nil {
					body[k] = m[k]
				}
			}
			continue
		}
		schema := map[string]any{}
		for _, k := range typeKeys {
			if m[k] != nil {
				schema[k] = m[k]
				delete(out, k)
			}
		}
		out["schema"] = schema
		params = append(params, out)
	}
	return params, body
}
