package apiserver

import "strings"

// namedIn is a message that maps names to messages in one field.
func namedIn(f protoField) *protoShape { return &protoShape{named: &f} }

// textFields are fields of text, numbered from one; an empty name leaves a number out.
func textFields(names ...string) map[string]protoField {
	m := map[string]protoField{}
	for i, n := range names {
		if n != "" {
			m[n] = protoField{number: protoNumberOf(i + 1), form: protoText}
		}
	}
	return m
}

// protoDocumentV2 is the message Document of openapi.v2.
func protoDocumentV2() *protoShape {
	schema := protoSchemaV2()
	item := protoField{number: 2, form: protoObject, of: schema, inside: protoWrap{1}} // Response.schema: SchemaItem
	response := &protoShape{fields: map[string]protoField{"description": {number: 1, form: protoText}, "schema": item}, extensions: 5}
	responses := &protoShape{named: &protoField{number: 1, form: protoObject, of: response, inside: protoWrap{1}}, extensions: 2}
	parameter := protoParameterV2(schema)
	// A list of parameters has references among them, the map of shared ones has not.
	reference := &protoShape{fields: textFields("$ref", "description")}
	item2 := &protoShape{choose: func(m map[string]any) (protoWrap, *protoShape) {
		if m["$ref"] != nil {
			return protoWrap{2}, reference
		}
		wrap, of := parameter.choose(m)
		return append(protoWrap{1}, wrap...), of
	}}
	requirement := namedIn(protoField{number: 1, form: protoStringArray})
	operation := &protoShape{extensions: 13, fields: map[string]protoField{
		"tags": {number: 1, form: protoTexts}, "summary": {number: 2, form: protoText}, "description": {number: 3, form: protoText},
		"operationId": {number: 5, form: protoText}, "produces": {number: 6, form: protoTexts}, "consumes": {number: 7, form: protoTexts},
		"parameters": {number: 8, form: protoEach(protoObject), of: item2}, "responses": {number: 9, form: protoObject, of: responses},
		"schemes": {number: 10, form: protoTexts}, "deprecated": {number: 11, form: protoFlag}, "security": {number: 12, form: protoEach(protoObject), of: requirement},
	}}
	path := &protoShape{extensions: 10, fields: map[string]protoField{"$ref": {number: 1, form: protoText}, "parameters": {number: 9, form: protoEach(protoObject), of: item2}}}
	for i, method := range []string{"get", "put", "post", "delete", "options", "head", "patch"} {
		path.fields[method] = protoField{number: protoNumberOf(i + 2), form: protoObject, of: operation}
	}
	key := &protoShape{fields: textFields("type", "name", "in", "description"), extensions: 5}
	return &protoShape{extensions: 16, fields: map[string]protoField{
		"swagger":             {number: 1, form: protoText},
		"info":                {number: 2, form: protoObject, of: &protoShape{fields: textFields("title", "version", "description"), extensions: 7}},
		"paths":               {number: 8, form: protoObject, of: namedIn(protoField{number: 2, form: protoObject, of: path})},
		"definitions":         {number: 9, form: protoObject, of: namedIn(protoField{number: 1, form: protoObject, of: schema})},
		"parameters":          {number: 10, form: protoObject, of: namedIn(protoField{number: 1, form: protoObject, of: parameter})},
		"security":            {number: 12, form: protoEach(protoObject), of: requirement},
		"securityDefinitions": {number: 13, form: protoObject, of: namedIn(protoField{number: 1, form: protoObject, of: key, inside: protoWrap{2}})},
	}}
}

// protoParameterV2 is a parameter: of a body, or of a query or path, which differ
// in one field that shifts the others.
func protoParameterV2(schema *protoShape) *protoShape {
	body := &protoShape{extensions: 6, fields: textFields("description", "name", "in")}
	body.fields["required"] = protoField{number: 4, form: protoFlag}
	body.fields["schema"] = protoField{number: 5, form: protoObject, of: schema}
	other := func(shift int) *protoShape {
		return &protoShape{extensions: protoNumberOf(22 + shift), fields: map[string]protoField{
			"required": {number: 1, form: protoFlag}, "in": {number: 2, form: protoText}, "description": {number: 3, form: protoText}, "name": {number: 4, form: protoText},
			"type": {number: protoNumberOf(5 + shift), form: protoText}, "format": {number: protoNumberOf(6 + shift), form: protoText},
			"uniqueItems": {number: protoNumberOf(19 + shift), form: protoFlag},
		}}
	}
	path, query := other(0), other(1)
	return &protoShape{choose: func(m map[string]any) (protoWrap, *protoShape) {
		switch m["in"] {
		case "body":
			return protoWrap{1}, body
		case "path":
			return protoWrap{2, 4}, path
		}
		return protoWrap{2, 3}, query
	}}
}

func protoSchemaV2() *protoShape {
	p := &protoShape{extensions: 31}
	one := protoField{form: protoObject, of: p}
	p.fields = map[string]protoField{
		"$ref": {number: 1, form: protoText}, "format": {number: 2, form: protoText}, "title": {number: 3, form: protoText}, "description": {number: 4, form: protoText},
		"default": {number: 5, form: protoAny}, "required": {number: 19, form: protoTexts}, "enum": {number: 20, form: protoEach(protoAny)},
		"additionalProperties": {number: 21, form: protoBoolOr(one)},
		"type":                 {number: 22, form: protoTexts, inside: protoWrap{1}},
		"items":                {number: 23, form: protoObject, of: p, inside: protoWrap{1}},
		"allOf":                {number: 24, form: protoEach(protoObject), of: p},
		"properties":           {number: 25, form: protoObject, of: namedIn(protoField{number: 1, form: protoObject, of: p})},
		"readOnly":             {number: 27, form: protoFlag},
		"externalDocs":         {number: 29, form: protoObject, of: &protoShape{fields: textFields("description", "url"), extensions: 3}},
		"example":              {number: 30, form: protoAny},
	}
	p.limits(6)
	return p
}

// limits adds the fields by which a schema bounds values, which have the same order everywhere.
func (p *protoShape) limits(from int) {
	for i, f := range []string{"multipleOf", "maximum", "exclusiveMaximum:flag", "minimum", "exclusiveMinimum:flag", "maxLength:int", "minLength:int", "pattern:text",
		"maxItems:int", "minItems:int", "uniqueItems:flag", "maxProperties:int", "minProperties:int"} {
		name, form, _ := strings.Cut(f, ":")
		as := protoNumber
		switch form {
		case "flag":
			as = protoFlag
		case "int":
			as = protoInteger
		case "text":
			as = protoText
		}
		p.fields[name] = protoField{number: protoNumberOf(from + i), form: as}
	}
}

// protoBoolOr writes a message of a schema (1) or a boolean (2).
func protoBoolOr(schema protoField) protoForm {
	schema.number = 1
	return func(b []byte, f protoField, v any) []byte {
		var m []byte
		if _, ok := v.(bool); ok {
			m = protoVarint(nil, 2, v == true)
		} else {
			m = schema.form(nil, schema, v)
		}
		return protoBytes(b, f.number, m)
	}
}

// protoStringArray writes a message with texts.
func protoStringArray(b []byte, f protoField, v any) []byte {
	return protoBytes(b, f.number, protoTexts(nil, protoField{number: 1}, v))
}
