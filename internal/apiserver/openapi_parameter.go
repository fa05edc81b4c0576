package apiserver

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	definitions "github.com/skiff-k8s/skiff/internal/api/schema"
)

// parameter is a part of a path or a query.
type parameter struct {
	name, in, kind, description string
	required                    bool
}

// The models whose fields are query parameters.
const (
	modelCreateOptions = modelMeta + "CreateOptions"
	modelUpdateOptions = modelMeta + "UpdateOptions"
	modelPatchOptions  = modelMeta + "PatchOptions"
	modelDelete        = modelMeta + "DeleteOptions"
	modelListOptions   = modelMeta + "ListOptions"
)

var prettyParameter = parameter{name: "pretty", in: "query", kind: "string",
	description: "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent indicates a browser or command-line HTTP tool (curl and wget)."}

// pathParameters are the parameters in a path's braces.
func (o *operation) pathParameters() (out []parameter) {
	for name, description := range map[string]string{
		"name":      "name of the " + o.gvk.Kind,
		"namespace": "object name and auth scope, such as for teams and projects",
		"path":      "path to the resource",
	} {
		if strings.Contains(o.path, "{"+name+"}") {
			out = append(out, parameter{name: name, in: "path", kind: "string", description: description, required: true})
		}
	}
	return out
}

// optionParameters are the fields of an options type that fit into a query.
func optionParameters(d *definitions.Definitions, model string) (out []parameter) {
	type property struct {
		Type, Description string
		Items             struct{ Type string }
	}
	var schema struct{ Properties map[string]property }
	if json.Unmarshal(d.JSON(model), &schema) != nil {
		return nil
	}
	for name, p := range schema.Properties {
		kind := p.Type
		if kind == "array" {
			kind = p.Items.Type
		}
		// What has no type refers to another model, which no query can hold.
		if kind == "" || name == "kind" || name == "apiVersion" {
			continue
		}
		out = append(out, parameter{name: name, in: "query", kind: kind, description: p.Description})
	}
	return out
}

// parametersOf are all parameters of an operation, by name.
func (w *documentWriter) parametersOf(o *operation) []parameter {
	out := o.pathParameters()
	if o.pretty {
		out = append(out, prettyParameter)
	}
	for _, model := range o.options {
		fields, ok := w.options[model]
		if !ok {
			fields = optionParameters(w.defs, model)
			w.options[model] = fields
		}
		for _, p := range fields {
			// A collection is deleted by what a list selects, and a model may repeat another's field.
			if slices.Contains(o.except, p.name) || slices.ContainsFunc(out, func(q parameter) bool { return q.in == p.in && q.name == p.name }) {
				continue
			}
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b parameter) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.in, b.in)) })
	return out
}

// sharedParameters are those that all operations of a path take, and, by operation, the rest.
func (w *documentWriter) sharedParameters(ops []operation) (shared []parameter, rest [][]parameter) {
	rest = make([][]parameter, len(ops))
	count := map[[2]string]int{}
	for i := range ops {
		rest[i] = w.parametersOf(&ops[i])
		for _, p := range rest[i] {
			count[[2]string{p.name, p.in}]++
		}
	}
	all := func(p parameter) bool { return count[[2]string{p.name, p.in}] == len(ops) }
	for i := range rest {
		if i == 0 {
			for _, p := range rest[i] {
				if all(p) {
					shared = append(shared, p)
				}
			}
		}
		rest[i] = slices.DeleteFunc(rest[i], all)
	}
	return shared, rest
}
