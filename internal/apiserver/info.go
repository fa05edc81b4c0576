package apiserver

import (
	"net/http"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
)

// info is what a request is about, read from its method and URL alone. It is what
// authorization sees and the only thing that handlers find objects by, so that
// both always mean the same object.
type info struct {
	path            string
	verb            string // get, list, watch, create, update, patch, delete, deletecollection; or the method in lower case
	resourceRequest bool
	group, version  string
	resource        string
	sub             string
	rest            string // what follows the subresource: the path behind a proxy
	ns, name        string
	// selected is the one name that the field selector of a list or watch leaves.
	selected string
}

func (i *info) gvr() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: i.group, Version: i.version, Resource: i.resource}
}

// authorizedName is the name that authorization goes by: a list or watch of one
// name needs no right to all of them.
func (i *info) authorizedName() string {
	if i.name != "" {
		return i.name
	}
	return i.selected
}

// proxySubresources pass the rest of the path on.
func proxying(sub string) bool { return sub == "proxy" }

// parseInfo reads
//
//	/api/v1|/apis/GROUP/VERSION [/watch] [/namespaces/NS] /RESOURCE [/NAME [/SUBRESOURCE [/…]]]
//
// Anything else is not a resource request, and neither is what has empty
// segments or steps upwards in it: an object has one path.
func parseInfo(r *http.Request) *info {
	i := &info{path: r.URL.Path, verb: strings.ToLower(r.Method)}
	whole := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	parts := whole
	if n := len(parts); parts[n-1] == "" {
		parts = parts[:n-1]
	}
	count := len(parts)
	switch {
	case len(parts) >= 3 && parts[0] == "api" && clean(parts[:2]):
		i.version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis" && clean(parts[:3]):
		i.group, i.version, parts = parts[1], parts[2], parts[3:]
	default:
		return i
	}
	other := &info{path: i.path, verb: i.verb}
	watch, within := false, false
	if parts[0] == "watch" && len(parts) > 1 {
		watch, parts = true, parts[1:]
	}
	if parts[0] == "namespaces" && len(parts) > 2 && !namespaceSubresource(parts) {
		i.ns, parts, within = parts[1], parts[2:], true
		if !clean([]string{i.ns}) {
			return other
		}
	}
	if !clean(parts[:min(len(parts), 3)]) || within && parts[0] == "namespaces" {
		return other
	}
	i.resource = parts[0]
	if len(parts) > 1 {
		i.name = parts[1]
	}
	if i.resource == "namespaces" && i.group == "" {
		i.ns = i.name
	}
	if len(parts) > 2 {
		i.sub = parts[2]
		if len(parts) > 3 && !proxying(i.sub) || watch {
			return other
		}
		// Whoever is behind a proxy gets the slashes as they are.
		i.rest = strings.Join(whole[count-len(parts)+3:], "/")
	}
	i.resourceRequest = true
	i.verb = verbOf(r.Method, i.name != "", i.name == "" && wantsWatch(r.URL.Query()))
	if watch {
		i.verb = "watch" // whatever the method: what is not GET is refused, not carried out as something else
	}
	if i.name == "" && (i.verb == "list" || i.verb == "watch") {
		i.selected = selectedName(r.URL.Query())
	}
	return i
}

// clean tells that no segment is empty or a step elsewhere.
func clean(segments []string) bool {
	for _, s := range segments {
		if s == "" || s == "." || s == ".." {
			return false
		}
	}
	return true
}

func namespaceSubresource(parts []string) bool {
	return len(parts) == 3 && (parts[2] == "status" || parts[2] == "finalize")
}

// wantsWatch reads the query parameter watch.
//
// compat: what is there and neither "false" nor "0" is true, even nothing.
func wantsWatch(q url.Values) bool {
	v := strings.ToLower(q.Get("watch"))
	return q.Has("watch") && v != "false" && v != "0"
}

// selectedName reads the very parameter that parseListOptions reads.
func selectedName(q url.Values) string {
	v := q.Get("fieldSelector")
	if v == "" {
		return ""
	}
	sel, err := fields.ParseSelector(v)
	if err != nil {
		return ""
	}
	name, ok := sel.RequiresExactMatch("metadata.name")
	if !ok || len(path.IsValidPathSegmentName(name)) > 0 {
		return ""
	}
	return name
}

func verbOf(method string, named, watch bool) string {
	switch method {
	case http.MethodGet, http.MethodHead:
		switch {
		case watch:
			return "watch"
		case named:
			return "get"
		}
		return "list"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		if named {
			return "delete"
		}
		return "deletecollection"
	}
	return strings.ToLower(method)
}

// placed refuses paths that the resource does not have: cluster-wide kinds below a
// namespace (CVE-2019-11247), objects without theirs, writes to
// all namespaces at once, changes of no object in particular.
func (x *exchange) placed(r *http.Request, res *api.Resource) error {
	switch {
	case !res.Namespaced && x.ns != "" && x.resource != "namespaces", res.Namespaced && x.ns == "" && x.name != "":
		return pathNotFound()
	case x.verb == "watch" && r.Method != http.MethodGet:
		return notAllowed(x)
	case x.name == "" && (x.verb == "update" || x.verb == "patch"):
		return notAllowed(x)
	case res.Namespaced && x.ns == "" && (x.verb == "create" || x.verb == "deletecollection"):
		return notAllowed(x)
	}
	return nil
}
