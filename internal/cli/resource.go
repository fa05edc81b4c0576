package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// resource is a kind of objects as discovery tells it.
type resource struct {
	group, version, kind string
	plural, singular     string
	short                []string
	namespaced           bool
	verbs                []string
}

const acceptDiscovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// resources are all kinds in the versions that their groups prefer, the core group first.
func (s *Server) resources(ctx context.Context) ([]resource, error) {
	if s.kind != nil {
		return s.kind, nil
	}
	for _, path := range []string{"/api", "/apis"} {
		var l apidiscoveryv2.APIGroupDiscoveryList
		if err := s.call(ctx, http.MethodGet, path, acceptDiscovery, nil, &l); err != nil {
			return nil, err
		}
		for _, g := range l.Items {
			seen := map[string]bool{}
			for _, v := range g.Versions {
				for _, r := range v.Resources {
					if seen[r.Resource] || r.ResponseKind == nil {
						continue
					}
					seen[r.Resource] = true
					s.kind = append(s.kind, resource{group: g.Name, version: v.Version, kind: r.ResponseKind.Kind, plural: r.Resource, singular: r.SingularResource,
						short: r.ShortNames, namespaced: r.Scope == apidiscoveryv2.ScopeNamespace, verbs: r.Verbs})
				}
			}
		}
	}
	return s.kind, nil
}

// find is the resource that people mean by a name: plural, singular, short or kind, with
// its group behind a dot where that is needed.
func (s *Server) find(ctx context.Context, name string) (resource, error) {
	all, err := s.resources(ctx)
	if err != nil {
		return resource{}, err
	}
	want, group, dotted := strings.Cut(strings.ToLower(name), ".")
	for _, r := range all {
		if dotted && r.group != group && r.version+"."+r.group != group {
			continue
		}
		if want == r.plural || want == r.singular || want == strings.ToLower(r.kind) || slices.Contains(r.short, want) {
			return r, nil
		}
	}
	return resource{}, fmt.Errorf("the server doesn't have a resource type %q", name)
}

// ofKind is the resource of an apiVersion and a kind.
func (s *Server) ofKind(ctx context.Context, apiVersion, kind string) (resource, error) {
	all, err := s.resources(ctx)
	if err != nil {
		return resource{}, err
	}
	group := ""
	if g, _, ok := strings.Cut(apiVersion, "/"); ok {
		group = g
	}
	for _, r := range all {
		if r.group == group && r.kind == kind {
			return r, nil
		}
	}
	return resource{}, fmt.Errorf("the server has no kind %s of %s", kind, apiVersion)
}

// String is how kubectl names it: deployments.apps.
func (r resource) String() string {
	if r.group == "" {
		return r.plural
	}
	return r.plural + "." + r.group
}

func (r resource) apiVersion() string {
	if r.group == "" {
		return r.version
	}
	return r.group + "/" + r.version
}

func (r resource) can(verb string) bool { return slices.Contains(r.verbs, verb) }

// path is where the objects are; name may be empty.
func (r resource) path(ns, name string) string {
	p := "/apis/" + r.group + "/" + r.version
	if r.group == "" {
		p = "/api/" + r.version
	}
	if r.namespaced && ns != "" {
		p += "/namespaces/" + url.PathEscape(ns)
	}
	p += "/" + r.plural
	if name != "" {
		p += "/" + url.PathEscape(name)
	}
	return p
}

// exactly is the query that reads the state of a revision; 0: now.
func exactly(rev int64) string {
	if rev == 0 {
		return ""
	}
	return "?resourceVersionMatch=Exact&resourceVersion=" + strconv.FormatInt(rev, 10)
}

// get reads an object at a revision; nil when it did not exist then.
func (s *Server) get(ctx context.Context, r resource, ns, name string, rev int64) (object, error) {
	o, err := s.read(ctx, r.path(ns, name)+exactly(rev))
	if notThere(err) {
		return nil, nil
	}
	return o, err
}

// list reads the objects of a namespace at a revision, by name.
func (s *Server) list(ctx context.Context, r resource, ns string, rev int64) (map[string]object, error) {
	l, err := s.read(ctx, r.path(ns, "")+exactly(rev))
	if err != nil {
		return nil, err
	}
	items, _ := l["items"].([]any)
	out := map[string]object{}
	for _, i := range items {
		o, _ := i.(object)
		o["apiVersion"], o["kind"] = r.apiVersion(), r.kind
		out[text(o, "metadata", "name")] = o
	}
	return out, nil
}

// once holds which objects were seen, for some kinds are served by two groups.
type once map[string]string

// only drops objects that another resource showed already.
func (seen once) only(r resource, states ...map[string]object) {
	for _, objects := range states {
		for name, o := range objects {
			uid := text(o, "metadata", "uid")
			if by := seen[uid]; by != "" && by != r.String() {
				delete(objects, name)
				continue
			}
			seen[uid] = r.String()
		}
	}
}

// text is the string at a path of an object; empty when there is none.
func text(o object, path ...string) string {
	for _, p := range path[:len(path)-1] {
		o, _ = o[p].(object)
	}
	v, _ := o[path[len(path)-1]].(string)
	return v
}

func schemaOf(r resource) schema.GroupResource {
	return schema.GroupResource{Group: r.group, Resource: r.plural}
}
