package apiserver

import (
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	definitions "github.com/skiff-k8s/skiff/internal/api/schema"
)

const refsV2 = "#/definitions/"

// documentV2 writes all operations as one OpenAPI v2 document. Parameters that
// mean the same everywhere are written once and referred to: two thirds of the
// document would be their descriptions otherwise.
func (w *documentWriter) documentV2(ops []operation) ([]byte, error) {
	shared := map[string]string{} // a parameter's JSON by its name in the document
	w.open('{')
	w.pair("swagger", "2.0")
	w.info()
	w.object("paths", func() {
		for _, run := range byPath(ops) {
			w.object(run[0].path, func() { w.pathV2(run, shared) })
		}
	})
	var err error
	w.object("definitions", func() {
		for _, name := range w.schemaNames() {
			var b []byte
			if b, err = schemaV2(w.schema(name)); err != nil {
				return
			}
			w.key(name)
			w.jsonText = append(w.jsonText, b...)
		}
	})
	w.object("parameters", func() {
		for _, name := range slices.Sorted(maps.Keys(shared)) {
			w.key(name)
			w.raw(shared[name])
		}
	})
	w.object("securityDefinitions", func() { w.raw(bearerScheme) })
	w.key("security")
	w.raw(`[{"BearerToken":[]}]`)
	w.close('}')
	return w.jsonText, err
}

func (w *documentWriter) pathV2(ops []operation, shared map[string]string) {
	common, rest := w.sharedParameters(ops)
	w.parametersV2(nil, common, shared)
	for i := range ops {
		o := &ops[i]
		w.object(o.method, func() {
			w.head(o)
			switch {
			case o.consumes != nil:
				w.texts("consumes", o.consumes)
			case o.action != "":
				w.texts("consumes", anyMedia)
			}
			w.texts("produces", o.produces)
			w.texts("schemes", []string{"https"})
			w.parametersV2(o, rest[i], shared)
			w.answers(o, func() { w.ref(refsV2, o.answer) })
		})
	}
}

// parametersV2 writes a body, if the operation has one, and parameters.
func (w *documentWriter) parametersV2(o *operation, params []parameter, shared map[string]string) {
	if len(params) == 0 && (o == nil || o.body == "") {
		return
	}
	w.key("parameters")
	w.open('[')
	if o != nil && o.body != "" {
		var b jsonText
		b.open('{')
		b.pair("name", "body")
		b.pair("in", "body")
		b.flag("required", !o.optional)
		b.object("schema", func() { b.pair("$ref", refsV2+o.body) })
		b.close('}')
		w.sharedV2("body", b, strings.HasPrefix(o.body, "io.k8s.apimachinery"), shared)
	}
	for _, p := range params {
		var b jsonText
		b.open('{')
		b.flag("uniqueItems", true)
		b.pair("type", p.kind)
		b.pair("description", p.description)
		b.pair("name", p.name)
		b.pair("in", p.in)
		b.flag("required", p.required)
		b.close('}')
		// compat: kubectl before 1.27 looks for these two in place.
		inPlace := p.in == "query" && (p.name == "fieldValidation" || p.name == "dryRun")
		w.sharedV2(p.name, b, p.name != "name" && !inPlace, shared)
	}
	w.close(']')
}

// sharedV2 writes a parameter, or a reference to it.
func (w *documentWriter) sharedV2(name string, b jsonText, share bool, shared map[string]string) {
	w.comma()
	if !share {
		w.jsonText = append(w.jsonText, b...)
		return
	}
	// The name is stable as long as the parameter is.
	h := fnv.New64()
	h.Write(b)
	name += "-" + base64.URLEncoding.EncodeToString(h.Sum(nil)[:6])
	shared[name] = string(b)
	w.open('{')
	w.pair("$ref", "#/parameters/"+name)
	w.close('}')
}

// schemaV2 says in v2 what a schema of v3 says: references stand beside their
// description, there are no defaults, and what may be of two types is a string.
func schemaV2(b []byte) ([]byte, error) {
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if gvk, is := m["x-kubernetes-group-version-kind"]; is && m["x-kubernetes-preserve-unknown-fields"] == true {
		// compat: clients would refuse all but the properties that are told, so a kind that
		// takes anything is told to be an object and no more.
		return marshalJSON(map[string]any{"type": "object", "x-kubernetes-group-version-kind": gvk})
	}
	plainV2(m)
	return marshalJSON(m)
}

func plainV2(m map[string]any) {
	delete(m, "default")
	if all, ok := m["allOf"].([]any); ok && len(all) == 1 {
		if ref, ok := all[0].(map[string]any)["$ref"]; ok {
			delete(m, "allOf")
			m["$ref"] = ref
		}
	}
	if ref, ok := m["$ref"].(string); ok {
		m["$ref"] = refsV2 + strings.TrimPrefix(ref, definitions.Refs)
	}
	if _, ok := m["oneOf"]; ok && m["x-kubernetes-int-or-string"] == nil {
		m["type"] = "string"
	}
	// What v2 cannot say of custom resources: clients must not refuse what the server accepts.
	for _, k := range []string{"oneOf", "anyOf", "allOf", "not"} {
		delete(m, k)
	}
	if m["nullable"] == true || m["x-kubernetes-preserve-unknown-fields"] == true {
		for _, k := range []string{"nullable", "type", "items", "properties", "additionalProperties"} {
			delete(m, k)
		}
	}
	for _, k := range []string{"items", "additionalProperties"} {
		if inner, ok := m[k].(map[string]any); ok {
			plainV2(inner)
		}
	}
	if props, ok := m["properties"].(map[string]any); ok {
		for _, p := range props {
			if inner, ok := p.(map[string]any); ok {
				plainV2(inner)
			}
		}
	}
}
