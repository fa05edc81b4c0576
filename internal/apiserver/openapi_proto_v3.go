package apiserver

// protoDocumentV3 is the message Document of openapi.v3. Where a reference may
// stand for a thing, a message around them says which it is: the thing (1) or the
// reference (2).
func protoDocumentV3() *protoShape {
	schema := protoSchemaV3()
	media := &protoShape{extensions: 5, fields: map[string]protoField{"schema": {number: 1, form: protoObject, of: schema}, "example": {number: 2, form: protoAny}}}
	content := namedIn(protoField{number: 1, form: protoObject, of: media})
	parameter := &protoShape{extensions: 14, fields: map[string]protoField{
		"name": {number: 1, form: protoText}, "in": {number: 2, form: protoText}, "description": {number: 3, form: protoText},
		"required": {number: 4, form: protoFlag}, "deprecated": {number: 5, form: protoFlag}, "schema": {number: 10, form: protoObject, of: schema},
	}}
	body := &protoShape{extensions: 4, fields: map[string]protoField{
		"description": {number: 1, form: protoText}, "content": {number: 2, form: protoObject, of: content}, "required": {number: 3, form: protoFlag}}}
	response := &protoShape{extensions: 5, fields: map[string]protoField{"description": {number: 1, form: protoText}, "content": {number: 3, form: protoObject, of: content}}}
	responses := &protoShape{extensions: 3, named: &protoField{number: 2, form: protoObject, of: orReference(response)}}
	operation := &protoShape{extensions: 13, fields: map[string]protoField{
		"tags": {number: 1, form: protoTexts}, "summary": {number: 2, form: protoText}, "description": {number: 3, form: protoText}, "operationId": {number: 5, form: protoText},
		"parameters":  {number: 6, form: protoEach(protoObject), of: orReference(parameter)},
		"requestBody": {number: 7, form: protoObject, of: orReference(body)},
		"responses":   {number: 8, form: protoObject, of: responses}, "deprecated": {number: 10, form: protoFlag},
	}}
	path := &protoShape{extensions: 14, fields: map[string]protoField{"parameters": {number: 13, form: protoEach(protoObject), of: orReference(parameter)}}}
	for i, method := range []string{"get", "put", "post", "delete", "options", "head", "patch"} {
		path.fields[method] = protoField{number: protoNumberOf(i + 4), form: protoObject, of: operation}
	}
	security := &protoShape{extensions: 9, fields: textFields("type", "description", "name", "in", "scheme")}
	components := &protoShape{extensions: 10, fields: map[string]protoField{
		"schemas":         {number: 1, form: protoObject, of: namedIn(protoField{number: 1, form: protoObject, of: schema})},
		"securitySchemes": {number: 7, form: protoObject, of: namedIn(protoField{number: 1, form: protoObject, of: orReference(security)})},
	}}
	return &protoShape{extensions: 9, fields: map[string]protoField{
		"openapi":    {number: 1, form: protoText},
		"info":       {number: 2, form: protoObject, of: &protoShape{fields: textFields("title", "description", "", "", "", "version"), extensions: 7}},
		"paths":      {number: 4, form: protoObject, of: namedIn(protoField{number: 1, form: protoObject, of: path})},
		"components": {number: 5, form: protoObject, of: components},
	}}
}

func orReference(of *protoShape) *protoShape {
	reference := &protoShape{fields: textFields("$ref")}
	return &protoShape{choose: func(m map[string]any) (protoWrap, *protoShape) {
		if m["$ref"] != nil {
			return protoWrap{2}, reference
		}
		return protoWrap{1}, of
	}}
}

func protoSchemaV3() *protoShape {
	p := &protoShape{extensions: 36}
	or := orReference(p)
	all := protoEach(protoObject)
	p.fields = map[string]protoField{
		"nullable": {number: 1, form: protoFlag}, "readOnly": {number: 3, form: protoFlag}, "writeOnly": {number: 4, form: protoFlag},
		"externalDocs": {number: 6, form: protoObject, of: &protoShape{fields: textFields("description", "url"), extensions: 3}},
		"example":      {number: 7, form: protoAny}, "deprecated": {number: 8, form: protoFlag}, "title": {number: 9, form: protoText},
		"required": {number: 23, form: protoTexts}, "enum": {number: 24, form: protoEach(protoAny)}, "type": {number: 25, form: protoText},
		"allOf": {number: 26, form: all, of: or}, "oneOf": {number: 27, form: all, of: or}, "anyOf": {number: 28, form: all, of: or}, "not": {number: 29, form: protoObject, of: p},
		"items":                {number: 30, form: protoObject, of: or, inside: protoWrap{1}},
		"properties":           {number: 31, form: protoObject, of: namedIn(protoField{number: 1, form: protoObject, of: or})},
		"additionalProperties": {number: 32, form: protoBoolOr(protoField{form: protoObject, of: or})},
		"default":              {number: 33, form: protoDefault},
		"description":          {number: 34, form: protoText}, "format": {number: 35, form: protoText},
	}
	p.limits(10)
	return or
}

// protoDefault writes a default that is a number (1), a boolean (2) or text (3). Of others the message knows nothing.
func protoDefault(b []byte, f protoField, v any) []byte {
	var m []byte
	switch v := v.(type) {
	case float64:
		m = protoDouble(nil, 1, v)
	case bool:
		m = protoVarint(nil, 2, v)
	case string:
		m = protoBytes(nil, 3, []byte(v))
	}
	return protoBytes(b, f.number, m)
}
