package apiserver

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	definitions "github.com/skiff-k8s/skiff/internal/api/schema"
)

// The protobuf form of /openapi/v2, as clients ask for it and as it is named in the answer.
const (
	mediaV2Asked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
	mediaV2      = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
)

// serveOpenAPIV2 answers with the one document of OpenAPI v2, which is kept zipped
// once it was asked for: making it takes a moment, and older clients ask at every start.
func (s *Server) serveOpenAPIV2(w http.ResponseWriter, r *http.Request, x *exchange) error {
	media, err := negotiateV2(r)
	if err != nil {
		return err
	}
	zipped, hash, err := s.openAPIV2(media)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Vary", "Accept")
	h.Set("Etag", `"`+hash+`"`)
	if matchesETag(r, hash) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", media)
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(zipped)))
		w.Write(zipped)
		return nil
	}
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return err
	}
	io.Copy(w, z)
	return nil
}

func negotiateV2(r *http.Request) (string, error) {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if header == "" {
		return mediaJSON, nil
	}
	for _, part := range strings.Split(header, ",") {
		// Not by mime: "@" has no place in a media type, but clients send it.
		mt, _, _ := strings.Cut(part, ";")
		switch strings.TrimSpace(mt) {
		case "*/*", "application/*", mediaJSON:
			return mediaJSON, nil
		case mediaV2Asked, mediaV2:
			return mediaV2, nil
		}
	}
	_, err := negotiate(r, nil)
	if err == nil {
		return mediaJSON, nil
	}
	return "", err
}

func (s *Server) openAPIV2(media string) (zipped []byte, hash string, err error) {
	o := &s.openapi
	o.mu.Lock()
	defer o.mu.Unlock()
	if b := o.v2[media]; b != nil {
		return b, o.v2Hash, nil
	}
	doc, err := s.documentV2()
	if err != nil {
		return nil, "", err
	}
	b, err := marshalJSON(doc)
	if err != nil {
		return nil, "", err
	}
	if o.v2Hash = hashOf(b); media == mediaV2 {
		b = protoDocument(doc)
	}
	var buf bytes.Buffer
	z, _ := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	z.Write(b)
	if err := z.Close(); err != nil {
		return nil, "", err
	}
	if o.v2 == nil {
		o.v2 = map[string][]byte{}
	}
	o.v2[media] = bytes.Clone(buf.Bytes())
	return o.v2[media], o.v2Hash, nil
}

// documentV2 is the whole API in OpenAPI v2.
func (s *Server) documentV2() (jsonObject, error) {
	d, err := definitions.Unpack()
	if err != nil {
		return nil, err
	}
	paths, models := jsonObject{}, []string{modelStatus, modelMeta + "APIResourceList"}
	groups, versions := s.groupVersions()
	for _, g := range groups {
		for _, v := range versions[g] {
			at := "api/" + v
			if g != "" {
				at = "apis/" + g + "/" + v
			}
			list := resourceListOperation(at)
			paths[list.path] = jsonObject{"get": list.v2(list.action)}
			for _, r := range s.servedAt(at) {
				for _, o := range r.operations() {
					o.intoV2(paths)
					models = append(models, o.body, o.answer)
				}
			}
		}
	}
	schemas := jsonObject{}
	for _, name := range d.Closure(models) {
		var m jsonObject
		if err := json.Unmarshal(d.JSON(name), &m); err != nil {
			return nil, err
		}
		schemas[name] = schemaV2(name, m)
	}
	return jsonObject{
		"swagger": "2.0", "info": jsonObject{"title": "Kubernetes", "version": s.Version.GitVersion},
		"paths": paths, "definitions": schemas,
		"securityDefinitions": jsonObject{"BearerToken": jsonObject{"description": "Bearer Token authentication", "type": "apiKey", "name": "authorization", "in": "header"}},
		"security":            []any{jsonObject{"BearerToken": []any{}}},
	}, nil
}

// schemaV2 says in v2 what a schema of v3 says: references stand alone, there are
// no defaults, and what may be of two types is a string with a format.
func schemaV2(name string, m jsonObject) jsonObject {
	switch name {
	case "io.k8s.apimachinery.pkg.api.resource.Quantity":
		return jsonObject{"description": m["description"], "type": "string"}
	case "io.k8s.apimachinery.pkg.util.intstr.IntOrString":
		return jsonObject{"description": m["description"], "type": "string", "format": "int-or-string"}
	}
	return plainV2(m)
}

func plainV2(m jsonObject) jsonObject {
	delete(m, "default")
	if all, ok := m["allOf"].([]any); ok && len(all) == 1 {
		if ref, ok := all[0].(jsonObject)["$ref"]; ok {
			delete(m, "allOf")
			m["$ref"] = ref
		}
	}
	if ref, ok := m["$ref"].(string); ok {
		m["$ref"] = "#/definitions/" + strings.TrimPrefix(ref, definitions.Refs)
	}
	for _, k := range []string{"items", "additionalProperties"} {
		if inner, ok := m[k].(jsonObject); ok {
			m[k] = plainV2(inner)
		}
	}
	if props, ok := m["properties"].(jsonObject); ok {
		for k, p := range props {
			props[k] = plainV2(p.(jsonObject))
		}
	}
	return m
}

func refV2(model string) jsonObject { return jsonObject{"$ref": "#/definitions/" + model} }

// intoV2 adds the operation to the paths of a document.
func (o *operation) intoV2(paths jsonObject) {
	item, ok := paths[o.path].(jsonObject)
	if !ok {
		shared := append(pathParameters(o.path), "pretty")
		if o.action == "connect" || o.answer == "" {
			shared = append(pathParameters(o.path), o.query...)
		}
		item = jsonObject{"parameters": o.parametersV2(shared)}
		paths[o.path] = item
	}
	out := o.v2(o.tag())
	out["x-kubernetes-action"] = o.action
	out["x-kubernetes-group-version-kind"] = gvkObject(o.gvk)
	var params []any
	if o.body != "" {
		body := jsonObject{"in": "body", "name": "body", "schema": refV2(o.body)}
		if !o.optional {
			body["required"] = true
		}
		params = append(params, body)
	}
	if o.action != "connect" && o.answer != "" {
		params = append(params, o.parametersV2(o.query)...)
	}
	if len(params) > 0 {
		out["parameters"] = params
	}
	item[o.method] = out
}

func (o *operation) parametersV2(names []string) []any {
	out := []any{}
	for _, n := range names {
		p := parameters[n]
		q := jsonObject{"name": n, "in": "query", "description": p.description, "type": p.kind, "uniqueItems": true}
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

func (o *operation) v2(tag string) jsonObject {
	answers := jsonObject{}
	for _, code := range o.codes {
		a := jsonObject{"description": codeTexts[code]}
		switch {
		case code == 401:
		case o.answer != "":
			a["schema"] = refV2(o.answer)
		default:
			a["schema"] = jsonObject{"type": "string"}
		}
		answers[strconv.Itoa(code)] = a
	}
	consumes := o.consumes
	if consumes == nil {
		consumes = anyMedia
	}
	return jsonObject{"description": o.description, "consumes": consumes, "produces": o.produces, "schemes": []string{"https"}, "tags": []string{tag}, "operationId": o.id, "responses": answers}
}
