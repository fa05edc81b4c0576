package apiserver

import (
	"net/http"
	"path"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// info is what a request is about, read from its method and path alone.
type info struct {
	path            string
	verb            string // get, list, watch, create, update, patch, delete, deletecollection; or the method in lower case
	resourceRequest bool
	group, version  string
	resource        string
	sub             string
	rest            string // what follows the subresource: the path behind a proxy
	ns, name        string
}

func (i *info) gvr() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: i.group, Version: i.version, Resource: i.resource}
}

// proxySubresources pass the rest of the path on.
func proxying(sub string) bool { return sub == "proxy" }

// parseInfo reads
//
//	/api/v1|/apis/GROUP/VERSION [/watch] [/namespaces/NS] /RESOURCE [/NAME [/SUBRESOURCE [/…]]]
//
// Anything else is not a resource request.
func parseInfo(r *http.Request) (*info, error) {
	i := &info{path: r.URL.Path, verb: strings.ToLower(r.Method)}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) >= 3:
		i.version, parts = parts[1], parts[2:]
	case parts[0] == "apis" && len(parts) >= 4:
		i.group, i.version, parts = parts[1], parts[2], parts[3:]
	default:
		return i, nil
	}
	i.resourceRequest = true
	watch := false
	if parts[0] == "watch" && len(parts) > 1 {
		watch, parts = true, parts[1:]
	}
	if parts[0] == "namespaces" && len(parts) > 2 && !namespaceSubresource(parts) {
		i.ns, parts = parts[1], parts[2:]
	}
	// What looks like a step upwards must never reach an object under another name than its own.
	for n, p := range parts {
		if n < 3 && (p == ".." || p == "." || p == "" && n < len(parts)-1) {
			return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "path"}, path.Clean(r.URL.Path))
		}
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
		i.rest = strings.Join(parts[3:], "/")
		if i.rest != "" && !proxying(i.sub) {
			return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "path"}, r.URL.Path)
		}
		if strings.HasSuffix(r.URL.Path, "/") && proxying(i.sub) {
			i.rest += "/"
		}
	}
	i.verb = verbOf(r, i.name != "", watch)
	return i, nil
}

func namespaceSubresource(parts []string) bool {
	return len(parts) == 3 && (parts[2] == "status" || parts[2] == "finalize")
}

func verbOf(r *http.Request, named, watch bool) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		q := r.URL.Query()
		wants := watch || q.Get("watch") == "true" || q.Get("watch") == "1"
		switch {
		case wants:
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
	return strings.ToLower(r.Method)
}
