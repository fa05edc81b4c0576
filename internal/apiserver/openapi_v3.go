package apiserver

import (
	"encoding/json"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	definitions "github.com/skiff-k8s/skiff/internal/api/schema"
)

// jsonObject is a JSON object in the making.
type jsonObject = map[string]any

func gvkObject(gvk schema.GroupVersionKind) jsonObject {
	return jsonObject{"group": gvk.Group, "version": gvk.Version, "kind": gvk.Kind}
}

// documentV3 is the OpenAPI v3 document of the given operations with the schemas that they need.
func (s *Server) documentV3(d *definitions.Definitions, list operation, ops []operation) ([]byte, error) {
	paths := jsonObject{list.path: jsonObject{"get": list.v3Plain(list.action)}}
	models := []string{list.answer, modelStatus}
	for i := range ops {
		o := &ops[i]
		item, ok := paths[o.path].(jsonObject)
		if !ok {
			item = jsonObject{"parameters": parametersV3(append(pathParameters(o.path), "pretty"), o)}
			if o.action == "connect" || o.answer == "" {
				item["parameters"] = parametersV3(append(pathParameters(o.path), o.query...), o)
			}
			paths[o.path] = item
		}
		item[o.method] = o.v3()
		models = append(models, o.body, o.answer)
	}
	schemas := map[string]json.RawMessage{}
	for _, name := range d.Closure(models) {
		schemas[name] = d.JSON(name)
	}
	return marshalJSON(jsonObject{
		"openapi": "3.0.0",
		"info":    jsonObject{"title": "Kubernetes", "version": s.Version.GitVersion},
		"paths":   paths,
		"components": jsonObject{"schemas": schemas,
			"securitySchemes": jsonObject{"BearerToken": jsonObject{"type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header"}}},
	})
}

func parametersV3(names []string, o *operation) []any {
	out := []any{}
	for _, n := range names {
		p := parameters[n]
		q := jsonObject{"name": n, "in": "query", "description": p.description, "schema": jsonObject{"type": p.kind, "uniqueItems": true}}
		if strings.Contains(o.path, "{"+n+"}") {
			q["in"], q["required"] = "path", true
			if n == "name" {
				q["description"] = "name of the " + o.gvk.Kind
			}
		}
		out = append(out, q)
	}
	return out
}

func (o *operation) tag() string {
	parts := strings.Split(strings.TrimPrefix(o.path, "/"), "/")
	gv := schema.GroupVersion{Version: parts[1]}
	if parts[0] == "apis" {
		gv = schema.GroupVersion{Group: parts[1], Version: parts[2]}
	}
	_, tag := words(gv)
	return tag
}

func contentV3(media []string, model string) jsonObject {
	content := jsonObject{}
	for _, m := range media {
		s := jsonObject{"type": "string"}
		if model != "" {
			s = jsonObject{"$ref": definitions.Refs + model}
		}
		content[m] = jsonObject{"schema": s}
	}
	return content
}

var codeTexts = map[int]string{200: "OK", 201: "Created", 202: "Accepted", 401: "Unauthorized"}

func (o *operation) v3() jsonObject {
	answers := jsonObject{}
	for _, code := range o.codes {
		a := jsonObject{"description": codeTexts[code]}
		if code != 401 {
			a["content"] = contentV3(o.produces, o.answer)
		}
		answers[strconv.Itoa(code)] = a
	}
	out := jsonObject{"tags": []string{o.tag()}, "description": o.description, "operationId": o.id, "responses": answers,
		"x-kubernetes-action": o.action, "x-kubernetes-group-version-kind": gvkObject(o.gvk)}
	if len(o.query) > 0 && o.action != "connect" && o.answer != "" {
		out["parameters"] = parametersV3(o.query, o)
	}
	if o.body != "" {
		body := jsonObject{"content": contentV3(o.consumes, o.body)}
		if !o.optional {
			body["required"] = true
		}
		out["requestBody"] = body
	}
	if o.deprecated {
		out["deprecated"] = true
	}
	return out
}

// plainOperations are those that discover things: they answer with one kind and take nothing.
func plainOperation(path, id, tag, description, answer string) operation {
	return operation{path: path, method: "get", id: id, description: description, answer: answer, produces: objectMedia[:3], codes: []int{200, 401}, action: tag}
}

// plainV3 is a document with one such path.
func (s *Server) plainV3(d *definitions.Definitions, path, id, tag, description, answer string) ([]byte, error) {
	o := plainOperation(path, id, tag, description, answer)
	v := o.v3Plain(tag)
	schemas := map[string]json.RawMessage{}
	for _, name := range d.Closure([]string{answer}) {
		schemas[name] = d.JSON(name)
	}
	return marshalJSON(jsonObject{"openapi": "3.0.0", "info": jsonObject{"title": "Kubernetes", "version": s.Version.GitVersion},
		"paths": jsonObject{path: jsonObject{"get": v}}, "components": jsonObject{"schemas": schemas}})
}

func (o *operation) v3Plain(tag string) jsonObject {
	return jsonObject{"tags": []string{tag}, "description": o.description, "operationId": o.id,
		"responses": jsonObject{"200": jsonObject{"description": "OK", "content": contentV3(o.produces, o.answer)}, "401": jsonObject{"description": "Unauthorized"}}}
}
