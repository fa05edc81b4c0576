package apiserver

import (
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
)

// operation is one thing that can be asked of a path, before it is written down
// in the words of OpenAPI v2 or v3. The words are those of Kubernetes: generated
// clients are named after them.
type operation struct {
	path        string
	method      string // "get"
	id          string // listCoreV1NamespacedPod
	tag         string // core_v1
	action      string // x-kubernetes-action; empty: it is about no kind
	description string
	gvk         schema.GroupVersionKind
	options     []string // models whose fields are query parameters
	except      []string // fields that are none
	pretty      bool
	body        string // model of the request's body
	optional    bool   // the body may be left out
	consumes    []string
	produces    []string
	answer      string // model of the answer; empty: a string
	codes       []int
}

const (
	modelMeta   = "io.k8s.apimachinery.pkg.apis.meta.v1."
	modelStatus = modelMeta + "Status"
	modelWatch  = modelMeta + "WatchEvent"
	modelPatch  = modelMeta + "Patch"
)

var (
	anyMedia    = []string{"*/*"}
	objectMedia = []string{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor"}
	customMedia = []string{"application/json", "application/yaml", "application/cbor"}
	streamMedia = []string{"application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch", "application/cbor-seq"}
	patchMedia  = []string{"application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/apply-patch+cbor"}

	readCodes   = []int{200, 401}
	writeCodes  = []int{200, 201, 401}
	createCodes = []int{200, 201, 202, 401}
	deleteCodes = []int{200, 202, 401}
)

// served is a resource in one of its versions, as documents see it.
type served struct {
	*api.Resource
	gvk  schema.GroupVersionKind
	gvr  schema.GroupVersionResource
	typ  reflect.Type // nil for custom resources
	list reflect.Type // nil: there are no lists
	// version is nil when it is the stored one.
	version *api.Version
}

func servedOf(r *api.Resource) *served {
	v := &served{Resource: r, gvk: r.GVK, gvr: r.GVR, typ: r.Type}
	if r.NewList != nil && r.Type != nil {
		v.list = reflect.TypeOf(r.NewList())
	}
	return v
}

func (r *served) model() string {
	if r.typ == nil {
		return customModel(r.gvk)
	}
	return modelOf(r.typ)
}

func (r *served) listModel() string {
	switch {
	case r.typ == nil:
		return customModel(r.gvk.GroupVersion().WithKind(listKind(r.Resource)))
	case r.list == nil:
		return ""
	}
	return modelOf(r.list)
}

// modelOf is the name of a type's definition.
func modelOf(t reflect.Type) string {
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
	if gv.Version != "" {
		tag += "_" + gv.Version
	}
	return id + upper(gv.Version), tag
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// article puts one before a kind, unless that is a plural (Endpoints).
func article(kind string) string {
	switch {
	case strings.HasSuffix(kind, "s") && !strings.HasSuffix(kind, "ss"):
		return kind
	case strings.ContainsRune("AEIOU", rune(kind[0])):
		return "an " + kind
	}
	return "a " + kind
}

// operations are all that can be asked about a resource.
func (r *served) operations() (out []operation) {
	id, tag := words(r.gvr.GroupVersion())
	root := "/" + openAPIPath(r.gvr.GroupVersion()) + "/"
	scope, many, kind := "", r.gvr.Resource, r.gvk.Kind
	if r.Namespaced {
		scope, many = "Namespaced", "namespaces/{namespace}/"+r.gvr.Resource
	}
	media, stream := r.media()
	model, listModel := r.model(), r.listModel()
	// add completes an operation; the star in its id stands for the group version.
	add := func(verb string, o operation) {
		if !slices.Contains(r.Verbs, verb) {
			return
		}
		o.path, o.id, o.tag, o.gvk = root+o.path, strings.Replace(o.id, "*", id, 1), tag, r.gvk
		if o.produces == nil {
			o.produces = media
		}
		o.pretty = true
		out = append(out, o)
	}
	listed := "list objects of kind " + kind
	if slices.Contains(r.Verbs, "watch") {
		listed = "list or watch objects of kind " + kind
	}
	list := func(path, name string) {
		add("list", operation{method: "get", path: path, id: "list*" + name, action: "list", description: listed,
			options: []string{modelListOptions}, produces: stream, answer: listModel, codes: readCodes})
	}
	watch := func(path, name, action, description string) {
		add("watch", operation{method: "get", path: "watch/" + path, id: "watch*" + name, action: action, description: description,
			options: []string{modelListOptions}, produces: stream, answer: modelWatch, codes: readCodes})
	}
	one := many + "/{name}"
	list(many, scope+kind)
	add("create", operation{method: "post", path: many, id: "create*" + scope + kind, action: "post", description: "create " + article(kind),
		options: []string{modelCreateOptions}, body: model, answer: model, codes: createCodes})
	add("deletecollection", operation{method: "delete", path: many, id: "delete*Collection" + scope + kind, action: "deletecollection", description: "delete collection of " + kind,
		options: []string{modelListOptions, modelDelete}, except: []string{"allowWatchBookmarks", "watch"}, body: modelDelete, optional: true, answer: modelStatus, codes: readCodes})
	add("get", operation{method: "get", path: one, id: "read*" + scope + kind, action: "get", description: "read the specified " + kind, answer: model, codes: readCodes})
	add("update", operation{method: "put", path: one, id: "replace*" + scope + kind, action: "put", description: "replace the specified " + kind,
		options: []string{modelUpdateOptions}, body: model, answer: model, codes: writeCodes})
	add("patch", operation{method: "patch", path: one, id: "patch*" + scope + kind, action: "patch", description: "partially update the specified " + kind,
		options: []string{modelPatchOptions}, consumes: r.patchMedia(), body: modelPatch, answer: model, codes: writeCodes})
	add("delete", operation{method: "delete", path: one, id: "delete*" + scope + kind, action: "delete", description: "delete " + article(kind),
		options: []string{modelDelete}, body: modelDelete, optional: true, answer: r.deleted(), codes: deleteCodes})
	if r.Namespaced {
		list(r.gvr.Resource, kind+"ForAllNamespaces")
		watch(r.gvr.Resource, kind+"ListForAllNamespaces", "watchlist", watchedList(kind))
	}
	watch(many, scope+kind+"List", "watchlist", watchedList(kind))
	watch(one, scope+kind, "watch", "watch changes to an object of kind "+kind+". deprecated: use the 'watch' parameter with a list operation instead, filtered to a single item with the 'fieldSelector' parameter.")
	for _, sub := range r.subresources() {
		for _, o := range r.subOperations(sub, scope) {
			o.path, o.id, o.tag = root+one+"/"+o.path, strings.Replace(o.id, "*", id, 1), tag
			out = append(out, o)
		}
	}
	return out
}

func watchedList(kind string) string {
	return "watch individual changes to a list of " + kind + ". deprecated: use the 'watch' parameter with a list operation instead."
}

// media are the forms of objects and of lists. Custom resources have no protobuf.
func (r *served) media() (object, list []string) {
	if r.typ == nil {
		return customMedia, slices.Concat(customMedia, []string{streamMedia[0], streamMedia[2]})
	}
	return objectMedia, slices.Concat(objectMedia, streamMedia)
}

func (r *served) patchMedia() []string {
	if r.typ == nil {
		return slices.DeleteFunc(slices.Clone(patchMedia), func(m string) bool { return strings.Contains(m, "strategic") })
	}
	return patchMedia
}

// deleted is what a deletion answers with.
func (r *served) deleted() string {
	if answersDeleted(r.Resource) {
		return r.model()
	}
	return modelStatus
}

// answersDeleted says whether the deletion of an object answers with the object
// even when it is gone, and not with a Status.
// compat: upstream's kinds of different age differ in that for no deeper reason.
func answersDeleted(r *api.Resource) bool {
	switch r.GVR.Group {
	case "":
		return slices.Contains([]string{"persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates", "resourcequotas", "serviceaccounts", "services"}, r.GVR.Resource)
	case "storage.k8s.io":
		return r.GVR.Resource != "csistoragecapacities"
	case "resource.k8s.io":
		return true
	}
	return false
}
