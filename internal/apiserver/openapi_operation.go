package apiserver

import (
	"reflect"
	"slices"
	"strings"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
)

// operation is one thing that can be asked of a path, before it is written down
// in the words of OpenAPI v2 or v3.
type operation struct {
	path        string
	method      string // "get"
	id          string // listCoreV1NamespacedPod
	action      string // x-kubernetes-action
	description string
	gvk         schema.GroupVersionKind
	query       []string // parameters of this operation alone, by name
	body        string   // model of the request's body
	optional    bool     // the body may be left out
	consumes    []string
	produces    []string
	answer      string // model of the answer; empty: a string
	codes       []int
	deprecated  bool
}

const (
	modelMeta   = "io.k8s.apimachinery.pkg.apis.meta.v1."
	modelStatus = modelMeta + "Status"
	modelDelete = modelMeta + "DeleteOptions"
	modelWatch  = modelMeta + "WatchEvent"
	modelPatch  = modelMeta + "Patch"
)

var (
	anyMedia     = []string{"*/*"}
	objectMedia  = []string{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor"}
	listMedia    = append(slices.Clone(objectMedia), "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch", "application/cbor-seq")
	patchMedia   = []string{"application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml", "application/strategic-merge-patch+json", "application/apply-patch+cbor"}
	listQuery    = []string{"allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"}
	writeQuery   = []string{"dryRun", "fieldManager", "fieldValidation"}
	patchQuery   = []string{"dryRun", "fieldManager", "fieldValidation", "force"}
	deleteQuerys = []string{"dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential", "orphanDependents", "propagationPolicy"}
	collectQuery = []string{"continue", "dryRun", "fieldSelector", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential", "labelSelector", "limit", "orphanDependents", "propagationPolicy", "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds"}
)

// served is a resource in one of its versions, as documents see it.
type served struct {
	*api.Resource
	gvk  schema.GroupVersionKind
	gvr  schema.GroupVersionResource
	typ  reflect.Type
	list reflect.Type
}

// modelOf is the name of a type's definition.
func modelOf(t reflect.Type) string {
	if t == nil {
		return ""
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if m, ok := reflect.Zero(t).Interface().(interface{ OpenAPIModelName() string }); ok {
		return m.OpenAPIModelName()
	}
	return ""
}

// words are a group version as operation ids and tags have it: "RbacAuthorizationV1" and "rbacAuthorization_v1".
func words(gv schema.GroupVersion) (id, tag string) {
	group := strings.TrimSuffix(gv.Group, ".k8s.io")
	if group == "" {
		group = "core"
	}
	for i, part := range strings.Split(group, ".") {
		id += upper(part)
		if i == 0 {
			tag = part
		} else {
			tag += upper(part)
		}
	}
	return id + upper(gv.Version), tag + "_" + gv.Version
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// operations are all that can be asked about a resource.
func (r *served) operations() []operation {
	version, _ := words(r.gvr.GroupVersion())
	root := "/" + openAPIPath(r.gvr.GroupVersion())
	scope, kind := "", r.gvk.Kind
	base := root
	if r.Namespaced {
		scope, base = "Namespaced", root+"/namespaces/{namespace}"
	}
	many := base + "/" + r.gvr.Resource
	one := many + "/{name}"
	model, list := modelOf(r.typ), modelOf(r.list)
	has := func(v string) bool { return slices.Contains(r.Verbs, v) }
	var out []operation
	add := func(verb, method, path, verbID, action, description string, o operation) {
		if !has(verb) {
			return
		}
		o.path, o.method, o.action, o.description, o.gvk = path, method, action, description, r.gvk
		o.id = strings.Replace(verbID, "*", version, 1)
		out = append(out, o)
	}
	add("list", "get", many, "list*"+scope+kind, "list", "list or watch objects of kind "+kind, operation{query: listQuery, produces: listMedia, answer: list, codes: []int{200, 401}})
	add("create", "post", many, "create*"+scope+kind, "post", "create "+article(kind), operation{query: writeQuery, consumes: anyMedia, produces: objectMedia, body: model, answer: model, codes: []int{200, 201, 202, 401}})
	add("deletecollection", "delete", many, "delete*Collection"+scope+kind, "deletecollection", "delete collection of "+kind, operation{query: collectQuery, consumes: anyMedia, produces: objectMedia, body: modelDelete, optional: true, answer: modelStatus, codes: []int{200, 401}})
	add("get", "get", one, "read*"+scope+kind, "get", "read the specified "+kind, operation{produces: objectMedia, answer: model, codes: []int{200, 401}})
	add("update", "put", one, "replace*"+scope+kind, "put", "replace the specified "+kind, operation{query: writeQuery, consumes: anyMedia, produces: objectMedia, body: model, answer: model, codes: []int{200, 201, 401}})
	add("patch", "patch", one, "patch*"+scope+kind, "patch", "partially update the specified "+kind, operation{query: patchQuery, consumes: patchMedia, produces: objectMedia, body: modelPatch, answer: model, codes: []int{200, 201, 401}})
	add("delete", "delete", one, "delete*"+scope+kind, "delete", "delete "+article(kind), operation{query: deleteQuerys, consumes: anyMedia, produces: objectMedia, body: modelDelete, optional: true, answer: r.deleted(model), codes: []int{200, 202, 401}})
	if r.Namespaced && r.NewList != nil {
		add("list", "get", root+"/"+r.gvr.Resource, "list*"+kind+"ForAllNamespaces", "list", "list or watch objects of kind "+kind, operation{query: listQuery, produces: listMedia, answer: list, codes: []int{200, 401}})
		add("watch", "get", root+"/watch/"+r.gvr.Resource, "watch*"+kind+"ListForAllNamespaces", "watchlist", oldWatchList(kind), operation{query: listQuery, produces: listMedia, answer: modelWatch, codes: []int{200, 401}})
	}
	watch := root + "/watch" + strings.TrimPrefix(many, root)
	add("watch", "get", watch, "watch*"+scope+kind+"List", "watchlist", oldWatchList(kind), operation{query: listQuery, produces: listMedia, answer: modelWatch, codes: []int{200, 401}})
	add("watch", "get", watch+"/{name}", "watch*"+scope+kind, "watch", "watch changes to an object of kind "+kind+". deprecated: use the 'watch' parameter with a list operation instead, filtered to a single item with the 'fieldSelector' parameter.", operation{query: listQuery, produces: listMedia, answer: modelWatch, codes: []int{200, 401}})
	for _, sub := range r.subresources() {
		out = append(out, r.subOperations(sub, one, scope, version)...)
	}
	return out
}

func oldWatchList(kind string) string {
	return "watch individual changes to a list of " + kind + ". deprecated: use the 'watch' parameter with a list operation instead."
}

func article(kind string) string {
	if strings.ContainsRune("AEIOU", rune(kind[0])) {
		return "an " + kind
	}
	return "a " + kind
}

// deleted is what a deletion answers with.
func (r *served) deleted(model string) string {
	if r.Graceful != nil {
		return model
	}
	return modelStatus
}

// connectQuery are the parameters of subresources that open connections.
var connectQuery = map[string][]string{
	"PodAttachOptions":      {"container", "stderr", "stdin", "stdout", "tty"},
	"PodExecOptions":        {"command", "container", "stderr", "stdin", "stdout", "tty"},
	"PodPortForwardOptions": {"ports"},
	"PodProxyOptions":       {"path"}, "NodeProxyOptions": {"path"}, "ServiceProxyOptions": {"path"},
}

func (r *served) subOperations(sub api.Subresource, one, scope, version string) (out []operation) {
	path, name := one+"/"+sub.Name, r.gvk.Kind+upper(sub.Name)
	if query, ok := connectQuery[sub.Kind.Kind]; ok {
		methods := []string{"get", "post"}
		paths := []string{path}
		if sub.Name == "proxy" {
			methods = []string{"get", "post", "put", "delete", "options", "head", "patch"}
			paths = append(paths, path+"/{path}")
		}
		for i, p := range paths {
			for _, m := range methods {
				id, of := "connect"+version+upper(m)+scope+name, ""
				if i > 0 {
					id, of = id+"WithPath", " with path"
				}
				_ = of
				out = append(out, operation{path: p, method: m, id: id, action: "connect", description: "connect " + upper(strings.ToUpper(m)) + " requests to " + sub.Name + " of " + r.gvk.Kind, gvk: sub.Kind, query: query, consumes: anyMedia, produces: anyMedia, codes: []int{200, 401}})
			}
		}
		return out
	}
	if sub.Name == "log" {
		return []operation{{path: path, method: "get", id: "read" + version + scope + name, action: "get", description: "read log of the specified Pod", gvk: sub.Kind,
			query:    []string{"container", "follow", "insecureSkipTLSVerifyBackend", "limitBytes", "previous", "sinceSeconds", "stream", "tailLines", "timestamps"},
			produces: append([]string{"text/plain"}, objectMedia...), codes: []int{200, 401}}}
	}
	model := r.subModel(sub)
	words := sub.Name + " of the specified " + r.gvk.Kind
	for _, v := range sub.Verbs {
		o := operation{path: path, gvk: sub.Kind, produces: objectMedia, answer: model, codes: []int{200, 201, 401}}
		switch v {
		case "get":
			o.method, o.id, o.action, o.description, o.codes = "get", "read"+version+scope+name, "get", "read "+words, []int{200, 401}
		case "update":
			o.method, o.id, o.action, o.description = "put", "replace"+version+scope+name, "put", "replace "+words
			o.query, o.consumes, o.body = writeQuery, anyMedia, model
		case "patch":
			o.method, o.id, o.action, o.description = "patch", "patch"+version+scope+name, "patch", "partially update "+words
			o.query, o.consumes, o.body = patchQuery, patchMedia, modelPatch
		case "create":
			o.method, o.id, o.action, o.description = "post", "create"+version+scope+name, "post", "create "+sub.Name+" of "+article(r.gvk.Kind)
			o.query, o.consumes, o.body, o.codes = writeQuery, anyMedia, model, []int{200, 201, 202, 401}
		default:
			continue
		}
		out = append(out, o)
	}
	return out
}

// subModels are the models of subresources that are not the object itself.
var subModels = map[string]string{
	"Scale": modelOf(reflect.TypeFor[autoscalingv1.Scale]()), "Binding": modelOf(reflect.TypeFor[corev1.Binding]()),
	"Eviction": "io.k8s.api.policy.v1.Eviction", "TokenRequest": "io.k8s.api.authentication.v1.TokenRequest",
}

func (r *served) subModel(sub api.Subresource) string {
	if m := subModels[sub.Kind.Kind]; m != "" {
		return m
	}
	return modelOf(r.typ)
}
