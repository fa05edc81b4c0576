package apiserver

import definitions "github.com/skiff-k8s/skiff/internal/api/schema"

// documentV3 writes the OpenAPI v3 document of the operations, with the schemas that they need.
func (w *documentWriter) documentV3(ops []operation) []byte {
	w.open('{')
	w.pair("openapi", "3.0.0")
	w.info()
	w.object("paths", func() {
		for _, run := range byPath(ops) {
			w.object(run[0].path, func() { w.pathV3(run) })
		}
	})
	w.object("components", func() {
		w.object("schemas", func() {
			for _, name := range w.schemaNames() {
				w.key(name)
				w.jsonText = append(w.jsonText, w.schema(name)...)
			}
		})
		w.object("securitySchemes", func() { w.raw(bearerScheme) })
	})
	w.close('}')
	return w.jsonText
}

func (w *documentWriter) pathV3(ops []operation) {
	shared, rest := w.sharedParameters(ops)
	w.parametersV3(shared)
	for i := range ops {
		o := &ops[i]
		w.object(o.method, func() {
			w.head(o)
			w.parametersV3(rest[i])
			if o.body != "" {
				w.object("requestBody", func() {
					media := o.consumes
					if media == nil {
						media = anyMedia
					}
					w.contentV3(media, o.body)
					w.flag("required", !o.optional)
				})
			}
			w.answers(o, func() { w.contentV3(o.produces, o.answer) })
		})
	}
}

func (w *documentWriter) contentV3(media []string, model string) {
	w.object("content", func() {
		for _, m := range media {
			w.object(m, func() { w.ref(definitions.Refs, model) })
		}
	})
}

func (w *documentWriter) parametersV3(params []parameter) {
	if len(params) == 0 {
		return
	}
	w.key("parameters")
	w.open('[')
	for _, p := range params {
		w.open('{')
		w.pair("name", p.name)
		w.pair("in", p.in)
		w.pair("description", p.description)
		w.flag("required", p.required)
		w.object("schema", func() {
			w.pair("type", p.kind)
			w.flag("uniqueItems", true)
		})
		w.close('}')
	}
	w.close(']')
}
