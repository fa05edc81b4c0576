package apiserver

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// The protobuf form of OpenAPI v2 (github.com/google/gnostic-models, openapiv2):
// written field by field from the document's tree, because the library would read
// it as YAML first, for seconds.

type protoBuffer []byte

func (b *protoBuffer) text(n protowire.Number, v any) {
	s, _ := v.(string)
	if s == "" {
		return
	}
	*b = protowire.AppendTag(*b, n, protowire.BytesType)
	*b = protowire.AppendString(*b, s)
}

func (b *protoBuffer) texts(n protowire.Number, v any) {
	switch l := v.(type) {
	case []string:
		for _, s := range l {
			b.text(n, s)
		}
	case []any:
		for _, s := range l {
			b.text(n, s)
		}
	case string:
		b.text(n, l)
	}
}

func (b *protoBuffer) flag(n protowire.Number, v any) {
	if on, _ := v.(bool); on {
		*b = protowire.AppendTag(*b, n, protowire.VarintType)
		*b = protowire.AppendVarint(*b, 1)
	}
}

func (b *protoBuffer) message(n protowire.Number, m protoBuffer) {
	*b = protowire.AppendTag(*b, n, protowire.BytesType)
	*b = protowire.AppendBytes(*b, m)
}

// named appends a message of a name (1) and a value (2) for each entry, by name.
func (b *protoBuffer) named(n protowire.Number, m jsonObject, value func(jsonObject) protoBuffer) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		var e protoBuffer
		e.text(1, k)
		e.message(2, value(m[k].(jsonObject)))
		b.message(n, e)
	}
}

// extensions appends what is named x-… as NamedAny, whose value is YAML (JSON is).
func (b *protoBuffer) extensions(n protowire.Number, m jsonObject) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if strings.HasPrefix(k, "x-") {
			var e protoBuffer
			e.text(1, k)
			e.message(2, protoAny(m[k]))
			b.message(n, e)
		}
	}
}

func protoAny(v any) (b protoBuffer) {
	text, err := json.Marshal(v)
	if err == nil {
		b.text(2, string(text)+"\n")
	}
	return b
}

func protoDocument(doc jsonObject) (b protoBuffer) {
	b.text(1, doc["swagger"])
	info := doc["info"].(jsonObject)
	var i protoBuffer
	i.text(1, info["title"])
	i.text(2, info["version"])
	b.message(2, i)
	var paths protoBuffer
	paths.named(2, doc["paths"].(jsonObject), protoPath)
	b.message(8, paths)
	var defs protoBuffer
	defs.named(1, doc["definitions"].(jsonObject), protoSchema)
	b.message(9, defs)
	return b
}

var protoMethods = map[string]protowire.Number{"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}

func protoPath(m jsonObject) (b protoBuffer) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if n, ok := protoMethods[k]; ok {
			b.message(n, protoOperation(m[k].(jsonObject)))
		}
	}
	b.parameters(9, m["parameters"])
	return b
}

func (b *protoBuffer) parameters(n protowire.Number, v any) {
	list, _ := v.([]any)
	for _, p := range list {
		var item, param protoBuffer
		m := p.(jsonObject)
		switch m["in"] {
		case "body":
			var body protoBuffer
			body.text(1, m["description"])
			body.text(2, m["name"])
			body.text(3, m["in"])
			body.flag(4, m["required"])
			body.message(5, protoSchema(m["schema"].(jsonObject)))
			param.message(1, body)
		default:
			// Query and path parameters differ in one field, which shifts the others.
			kind, shift := protowire.Number(3), protowire.Number(1)
			if m["in"] == "path" {
				kind, shift = 4, 0
			}
			var sub, either protoBuffer
			sub.flag(1, m["required"])
			sub.text(2, m["in"])
			sub.text(3, m["description"])
			sub.text(4, m["name"])
			sub.text(5+shift, m["type"])
			sub.flag(19+shift, m["uniqueItems"])
			either.message(kind, sub)
			param.message(2, either)
		}
		item.message(1, param)
		b.message(n, item)
	}
}

func protoOperation(m jsonObject) (b protoBuffer) {
	b.texts(1, m["tags"])
	b.text(3, m["description"])
	b.text(5, m["operationId"])
	b.texts(6, m["produces"])
	b.texts(7, m["consumes"])
	b.parameters(8, m["parameters"])
	var answers protoBuffer
	answers.named(1, m["responses"].(jsonObject), func(a jsonObject) (value protoBuffer) {
		var r protoBuffer
		r.text(1, a["description"])
		if s, ok := a["schema"].(jsonObject); ok {
			var item protoBuffer
			item.message(1, protoSchema(s))
			r.message(2, item)
		}
		value.message(1, r)
		return value
	})
	b.message(9, answers)
	b.texts(10, m["schemes"])
	b.extensions(13, m)
	return b
}

func protoSchema(m jsonObject) (b protoBuffer) {
	b.text(1, m["$ref"])
	b.text(2, m["format"])
	b.text(4, m["description"])
	b.texts(19, m["required"])
	if l, ok := m["enum"].([]any); ok {
		for _, v := range l {
			b.message(20, protoAny(v))
		}
	}
	if inner, ok := m["additionalProperties"].(jsonObject); ok {
		var item protoBuffer
		item.message(1, protoSchema(inner))
		b.message(21, item)
	}
	if m["type"] != nil {
		var t protoBuffer
		t.texts(1, m["type"])
		b.message(22, t)
	}
	if inner, ok := m["items"].(jsonObject); ok {
		var item protoBuffer
		item.message(1, protoSchema(inner))
		b.message(23, item)
	}
	if props, ok := m["properties"].(jsonObject); ok {
		var p protoBuffer
		p.named(1, props, protoSchema)
		b.message(25, p)
	}
	b.extensions(31, m)
	return b
}
