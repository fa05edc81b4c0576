package apiserver

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// The protobuf forms of documents are those of github.com/google/gnostic-models.
// That library reads documents as YAML first, which takes more than a hundred
// megabytes, and a megabyte of code; here they are written from JSON by two tables
// (openapi_proto_v2.go, openapi_proto_v3.go), one path or definition at a time.

// protoShape says how an object becomes a message.
type protoShape struct {
	fields map[string]protoField
	// named is what becomes of the members that fields does not name: a message of
	// a name (1) and a value (2) each.
	named *protoField
	// extensions is the field for members that begin with x-: like named, with a value that is Any.
	extensions protowire.Number
	// choose wraps the message, by what it says itself.
	choose func(map[string]any) (protoWrap, *protoShape)
}

// protoWrap are the fields of the messages around a message, outermost first.
type protoWrap []protowire.Number

// protoField is a field and the form of its value.
type protoField struct {
	number protowire.Number
	form   protoForm
	of     *protoShape
	inside protoWrap // what stands between the field and the message
}

// protoForm appends a value as a field's.
type protoForm func(b []byte, f protoField, v any) []byte

func protoText(b []byte, f protoField, v any) []byte {
	s, _ := v.(string)
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, f.number, protowire.BytesType), s)
}

func protoTexts(b []byte, f protoField, v any) []byte {
	l, ok := v.([]any)
	if !ok {
		l = []any{v}
	}
	var m []byte
	one := protoField{number: f.number}
	if f.inside != nil {
		one.number = f.inside[0]
	}
	for _, s := range l {
		if s, ok := s.(string); ok {
			m = protowire.AppendString(protowire.AppendTag(m, one.number, protowire.BytesType), s)
		}
	}
	if f.inside == nil {
		return append(b, m...)
	}
	return protowire.AppendBytes(protowire.AppendTag(b, f.number, protowire.BytesType), m)
}

func protoFlag(b []byte, f protoField, v any) []byte {
	if on, _ := v.(bool); on {
		b = protowire.AppendVarint(protowire.AppendTag(b, f.number, protowire.VarintType), 1)
	}
	return b
}

func protoNumber(b []byte, f protoField, v any) []byte {
	if n, _ := v.(float64); n != 0 {
		b = protowire.AppendFixed64(protowire.AppendTag(b, f.number, protowire.Fixed64Type), math.Float64bits(n))
	}
	return b
}

func protoInteger(b []byte, f protoField, v any) []byte {
	if n, _ := v.(float64); n != 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, f.number, protowire.VarintType), uint64(int64(n)))
	}
	return b
}

// protoAny writes YAML, which JSON is.
func protoAny(b []byte, f protoField, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return b
	}
	m := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), string(text)+"\n")
	return protowire.AppendBytes(protowire.AppendTag(b, f.number, protowire.BytesType), m)
}

func protoEach(form protoForm) protoForm {
	return func(b []byte, f protoField, v any) []byte {
		l, _ := v.([]any)
		for _, item := range l {
			b = form(b, f, item)
		}
		return b
	}
}

// protoObject writes a message, and what is around it.
func protoObject(b []byte, f protoField, v any) []byte {
	m, ok := v.(map[string]any)
	if !ok {
		return b
	}
	of, wrap := f.of, f.inside
	if of.choose != nil {
		more, chosen := of.choose(m)
		of, wrap = chosen, slices.Concat(wrap, more)
	}
	body := of.append(nil, m)
	for _, n := range slices.Backward(wrap) {
		body = protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), body)
	}
	return protowire.AppendBytes(protowire.AppendTag(b, f.number, protowire.BytesType), body)
}

func (p *protoShape) append(b []byte, m map[string]any) []byte {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		f, ok := p.fields[k]
		switch {
		case ok:
			b = f.form(b, f, m[k])
		case strings.HasPrefix(k, "x-") && p.extensions != 0:
			b = p.appendNamed(b, protoField{number: p.extensions, form: protoAny}, k, m[k])
		case p.named != nil:
			b = p.appendNamed(b, *p.named, k, m[k])
		}
	}
	return b
}

func (p *protoShape) appendNamed(b []byte, f protoField, name string, v any) []byte {
	e := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name)
	value := f
	value.number = 2
	e = f.form(e, value, v)
	return protowire.AppendBytes(protowire.AppendTag(b, f.number, protowire.BytesType), e)
}

// protoDocument is a document in protobuf. The maps that make it large are taken
// apart before they are read.
func protoDocument(text []byte, v2 bool) ([]byte, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(text, &top); err != nil {
		return nil, err
	}
	message := protoDocumentV3()
	if v2 {
		message = protoDocumentV2()
	}
	var b []byte
	for _, k := range slices.Sorted(maps.Keys(top)) {
		f := message.fields[k]
		if f.of == nil || f.of.named == nil || top[k][0] != '{' {
			var v any
			if err := json.Unmarshal(top[k], &v); err != nil {
				return nil, err
			}
			b = f.form(b, f, v)
			continue
		}
		var entries map[string]json.RawMessage
		if err := json.Unmarshal(top[k], &entries); err != nil {
			return nil, err
		}
		var m []byte
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			var v any
			if err := json.Unmarshal(entries[name], &v); err != nil {
				return nil, err
			}
			m = f.of.append(m, map[string]any{name: v})
		}
		b = protowire.AppendBytes(protowire.AppendTag(b, f.number, protowire.BytesType), m)
	}
	return b, nil
}

func protoNumberOf(n int) protowire.Number { return protowire.Number(n) }

// protoBytes, protoVarint and protoDouble append a field whatever its value: a
// choice is told by the field that is there.
func protoBytes(b []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func protoVarint(b []byte, n protowire.Number, on bool) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), protowire.EncodeBool(on))
}

func protoDouble(b []byte, n protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, n, protowire.Fixed64Type), math.Float64bits(v))
}
