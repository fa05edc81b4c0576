package apiserver

import (
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	definitions "github.com/skiff-k8s/skiff/internal/api/schema"
)

// documentWriter writes one document. What it needs of the definitions stays
// unpacked only as long as it works.
type documentWriter struct {
	jsonText
	defs    *definitions.Definitions
	custom  map[string][]byte // schemas of custom resources, by model
	version string
	options map[string][]parameter // of models whose fields are parameters
	models  []string               // that the operations speak of
}

var (
	codeTexts      = map[int]string{200: "OK", 201: "Created", 202: "Accepted", 401: "Unauthorized"}
	bearerScheme   = `"BearerToken":{"type":"apiKey","description":"Bearer Token authentication","name":"authorization","in":"header"}`
	discoveryMedia = objectMedia[:3]
)

func (w *documentWriter) info() {
	w.object("info", func() {
		w.pair("title", "Kubernetes")
		w.pair("version", w.version)
	})
}

// byPath sorts operations into runs of the same path, keeping their order there.
func byPath(ops []operation) (runs [][]operation) {
	slices.SortStableFunc(ops, func(a, b operation) int { return strings.Compare(a.path, b.path) })
	for len(ops) > 0 {
		n := slices.IndexFunc(ops, func(o operation) bool { return o.path != ops[0].path })
		if n < 0 {
			n = len(ops)
		}
		runs, ops = append(runs, ops[:n:n]), ops[n:]
	}
	return runs
}

// head writes what an operation has in both versions.
func (w *documentWriter) head(o *operation) {
	if o.tag != "" {
		w.texts("tags", []string{o.tag})
	}
	if o.description != "" {
		w.pair("description", o.description)
	}
	w.pair("operationId", o.id)
	if o.action != "" {
		w.pair("x-kubernetes-action", o.action)
		w.object("x-kubernetes-group-version-kind", func() {
			w.pair("group", o.gvk.Group)
			w.pair("version", o.gvk.Version)
			w.pair("kind", o.gvk.Kind)
		})
	}
	w.models = append(w.models, o.body, o.answer)
}

// schemaNames are the schemas that a document with these operations needs.
func (w *documentWriter) schemaNames() []string {
	names := w.models
	for _, m := range w.models {
		if b := w.custom[m]; b != nil {
			names = append(names, definitions.References(b)...)
		}
	}
	out := w.defs.Closure(names)
	for _, n := range names {
		if w.custom[n] != nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (w *documentWriter) schema(name string) []byte {
	if b := w.custom[name]; b != nil {
		return b
	}
	return w.defs.JSON(name)
}

// ref writes a schema that is a model, or a string when there is none.
func (w *documentWriter) ref(prefix, model string) {
	w.object("schema", func() {
		if model == "" {
			w.pair("type", "string")
		} else {
			w.pair("$ref", prefix+model)
		}
	})
}

// answers writes the responses of an operation.
func (w *documentWriter) answers(o *operation, content func()) {
	w.object("responses", func() {
		for _, code := range o.codes {
			w.object(strconv.Itoa(code), func() {
				w.pair("description", codeTexts[code])
				if code != 401 {
					content()
				}
			})
		}
	})
}

// discoveryOperations are those of a document that is about no kinds, or the
// resource list of a group version.
func discoveryOperations(at string) []operation {
	o := operation{method: "get", path: "/" + at + "/", produces: discoveryMedia, consumes: discoveryMedia, codes: readCodes}
	parts := strings.Split(at, "/")
	switch {
	case at == "api":
		o.id, o.tag, o.description, o.answer = "getCoreAPIVersions", "core", "get available API versions", modelMeta+"APIVersions"
	case at == "apis":
		o.id, o.tag, o.description, o.answer = "getAPIVersions", "apis", "get available API versions", modelMeta+"APIGroupList"
	case at == "version":
		o.id, o.tag, o.description, o.answer = "getCodeVersion", "version", "get the version information for this server", "io.k8s.apimachinery.pkg.version.Info"
		o.produces, o.consumes = discoveryMedia[:1], discoveryMedia[:1]
	case at == openIDConfiguration:
		o.id, o.tag, o.description = "getServiceAccountIssuerOpenIDConfiguration", "WellKnown", "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'"
		o.produces, o.consumes = discoveryMedia[:1], nil
	case at == openIDKeys:
		o.id, o.tag, o.description = "getServiceAccountIssuerOpenIDKeyset", "openid", "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)"
		o.produces, o.consumes = []string{"application/jwk-set+json"}, nil
	case parts[0] == "apis" && len(parts) == 2:
		id, tag := words(schema.GroupVersion{Group: parts[1]})
		o.id, o.tag, o.description, o.answer = "get"+id+"APIGroup", tag, "get information of a group", modelMeta+"APIGroup"
	default:
		gv := groupVersionAt(at)
		id, tag := words(gv)
		o.id, o.tag, o.description, o.answer = "get"+id+"APIResources", tag, "get available resources", modelMeta+"APIResourceList"
	}
	return []operation{o}
}
