package apiserver

import (
	"strings"

	"github.com/skiff-k8s/skiff/internal/api"
)

const modelCore = "io.k8s.api.core.v1."

// subModels are the models of subresources that are not the object itself, by kind.
var subModels = map[string]string{
	"Scale":        "io.k8s.api.autoscaling.v1.Scale",
	"Binding":      modelCore + "Binding",
	"Eviction":     "io.k8s.api.policy.v1.Eviction",
	"TokenRequest": "io.k8s.api.authentication.v1.TokenRequest",
}

// connects says whether a subresource opens a connection: its kind are the options for it.
func connects(sub api.Subresource) bool { return strings.HasSuffix(sub.Kind.Kind, "Options") }

// subOperations are what can be asked about a subresource. Paths begin after the
// object's; the star in ids stands for the group version.
func (r *served) subOperations(sub api.Subresource, scope string) (out []operation) {
	name := scope + r.gvk.Kind + upper(sub.Name)
	media, _ := r.media()
	if connects(sub) {
		return r.connectOperations(sub, scope)
	}
	if sub.Name == "log" {
		return []operation{{method: "get", path: sub.Name, id: "read*" + name, action: "get", description: "read log of the specified " + r.gvk.Kind, gvk: sub.Kind,
			options: []string{modelCore + "PodLogOptions"}, pretty: true, produces: append([]string{"text/plain"}, media...), codes: readCodes}}
	}
	model := subModels[sub.Kind.Kind]
	if sub.Kind != r.gvk && sub.Kind.GroupVersion() == r.gvk.GroupVersion() && r.version != nil {
		// What an old version has of its own, it has a model of.
		model = "io.k8s.api." + sub.Kind.Group + "." + sub.Kind.Version + "." + sub.Kind.Kind
	}
	if model == "" {
		model = r.model()
	}
	of := sub.Name + " of the specified " + r.gvk.Kind
	for _, v := range sub.Verbs {
		o := operation{path: sub.Name, gvk: sub.Kind, pretty: true, produces: media, answer: model, codes: writeCodes}
		switch v {
		case "get":
			o.method, o.id, o.action, o.description, o.codes = "get", "read*"+name, "get", "read "+of, readCodes
		case "update":
			o.method, o.id, o.action, o.description = "put", "replace*"+name, "put", "replace "+of
			o.options, o.body = []string{modelUpdateOptions}, model
		case "patch":
			o.method, o.id, o.action, o.description = "patch", "patch*"+name, "patch", "partially update "+of
			o.options, o.consumes, o.body = []string{modelPatchOptions}, r.patchMedia(), modelPatch
		case "create":
			o.method, o.id, o.action, o.description = "post", "create*"+name, "post", "create "+sub.Name+" of "+article(r.gvk.Kind)
			o.options, o.body, o.codes = []string{modelCreateOptions}, model, createCodes
		default:
			continue
		}
		out = append(out, o)
	}
	return out
}

func (r *served) connectOperations(sub api.Subresource, scope string) (out []operation) {
	methods, paths := []string{"get", "post"}, []string{sub.Name}
	if sub.Name == "proxy" {
		methods = []string{"get", "post", "put", "delete", "options", "head", "patch"}
		paths = append(paths, sub.Name+"/{path}")
	}
	for i, p := range paths {
		for _, m := range methods {
			id := "connect*" + upper(m) + scope + r.gvk.Kind + upper(sub.Name)
			if i > 0 {
				id += "WithPath"
			}
			out = append(out, operation{method: m, path: p, id: id, action: "connect", description: "connect " + strings.ToUpper(m) + " requests to " + sub.Name + " of " + r.gvk.Kind,
				gvk: sub.Kind, options: []string{modelCore + sub.Kind.Kind}, produces: anyMedia, codes: readCodes})
		}
	}
	return out
}
