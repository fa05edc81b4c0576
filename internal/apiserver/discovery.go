package apiserver

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/internal/api"
)

// discovery is what /api and /apis tell, made from the table when first asked for.
type discovery struct {
	mu     sync.Mutex
	core   *apidiscoveryv2.APIGroupDiscoveryList
	groups *apidiscoveryv2.APIGroupDiscoveryList
	etags  map[string]string
}

// groupVersions are the served versions of every group, those of other servers among them, in the order in which clients shall like them.
func (s *Server) groupVersions() (groups []string, versions map[string][]string) {
	return s.aggregator.Order(s.ownVersions())
}

// servedIn are the resources of a group version.
func (s *Server) servedIn(gv schema.GroupVersion) (out []*served) {
	for _, r := range s.kinds.Load().rows {
		if r.GVR.GroupVersion() == gv {
			out = append(out, servedOf(r))
		}
		for _, v := range r.Versions {
			if v.GVR.GroupVersion() == gv && s.serves(v) {
				of := &served{Resource: r, gvk: v.GVK, gvr: v.GVR, typ: v.Type, version: v}
				if v.NewList != nil {
					of.list = reflect.TypeOf(v.NewList())
				}
				out = append(out, of)
			}
		}
	}
	return out
}

func (s *Server) serveDiscovery(w http.ResponseWriter, r *http.Request, x *exchange, p string) error {
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	groups, versions := s.groupVersions()
	if !discovered(parts, versions) {
		return nothingAt(p)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return notAllowed(x)
	}
	aggregated := p == "/api" || p == "/apis"
	var err error
	x.accept, err = negotiate(r, func(as, group, version string) bool {
		return aggregated && as == "APIGroupDiscoveryList" && group == "apidiscovery.k8s.io" && (version == "v2" || version == "v2beta1")
	}, true)
	if err != nil {
		return err
	}
	if x.accept.as != "" {
		return s.serveAggregated(w, r, x, p)
	}
	switch {
	case p == "/api":
		s.writeObject(w, r, x, http.StatusOK, &metav1.APIVersions{
			TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: versions[""],
			ServerAddressByClientCIDRs: []metav1.ServerAddressByClientCIDR{{ClientCIDR: "0.0.0.0/0", ServerAddress: r.Host}},
		})
	case parts[0] == "api":
		s.writeObject(w, r, x, http.StatusOK, s.resourceList("", parts[1]))
	case p == "/apis":
		l := &metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for _, g := range groups {
			if g != "" {
				l.Groups = append(l.Groups, apiGroup(g, versions[g]))
			}
		}
		s.writeObject(w, r, x, http.StatusOK, l)
	case len(parts) == 2:
		g := apiGroup(parts[1], versions[parts[1]])
		g.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
		s.writeObject(w, r, x, http.StatusOK, &g)
	default:
		s.writeObject(w, r, x, http.StatusOK, s.resourceList(parts[1], parts[2]))
	}
	return nil
}

// discovered tells whether there is discovery at a path: of everything, of a group or of a version.
func discovered(parts []string, versions map[string][]string) bool {
	switch {
	case len(parts) == 1:
		return true
	case parts[0] == "api":
		return len(parts) == 2 && slices.Contains(versions[""], parts[1])
	case parts[1] == "" || versions[parts[1]] == nil:
		return false
	}
	return len(parts) == 2 || len(parts) == 3 && slices.Contains(versions[parts[1]], parts[2])
}

func apiGroup(name string, versions []string) metav1.APIGroup {
	g := metav1.APIGroup{Name: name}
	for _, v := range versions {
		g.Versions = append(g.Versions, metav1.GroupVersionForDiscovery{GroupVersion: name + "/" + v, Version: v})
	}
	g.PreferredVersion = g.Versions[0]
	return g
}

// resourceList is /api/v1 and the like: every resource and subresource of a version, by name.
func (s *Server) resourceList(group, version string) *metav1.APIResourceList {
	gv := schema.GroupVersion{Group: group, Version: version}
	l := &metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv.String(), APIResources: []metav1.APIResource{}}
	for _, r := range s.servedIn(gv) {
		main := metav1.APIResource{Name: r.GVR.Resource, SingularName: r.Singular, Namespaced: r.Namespaced, Kind: r.gvk.Kind,
			Verbs: r.Verbs}
		main.ShortNames, main.Categories = r.nicknames()
		if !r.Virtual {
			main.StorageVersionHash = storageHash(r.GVK)
		}
		l.APIResources = append(l.APIResources, main)
		for _, sub := range r.subresources() {
			a := metav1.APIResource{Name: r.GVR.Resource + "/" + sub.Name, Namespaced: r.Namespaced, Kind: sub.Kind.Kind, Verbs: sub.Verbs}
			if sub.Kind.GroupVersion() != gv {
				a.Group, a.Version = sub.Kind.Group, sub.Kind.Version
			}
			l.APIResources = append(l.APIResources, a)
		}
	}
	slices.SortFunc(l.APIResources, func(a, b metav1.APIResource) int { return strings.Compare(a.Name, b.Name) })
	return l
}

// subresources are those of the row, with status and scale, by name.
func subresources(r *api.Resource) []api.Subresource {
	subs := slices.Clone(r.Subresources)
	if r.Status != nil {
		subs = append(subs, api.Subresource{Name: "status", Kind: r.GVK, Verbs: []string{"get", "patch", "update"}})
	}
	if r.Scale != nil {
		subs = append(subs, api.Subresource{Name: "scale", Kind: scaleKind, Verbs: []string{"get", "patch", "update"}})
	}
	slices.SortFunc(subs, func(a, b api.Subresource) int { return strings.Compare(a.Name, b.Name) })
	return subs
}

// nicknames are the short names and categories by which clients find the resource.
// An old group in which it was once has none: clients would find it twice.
func (r *served) nicknames() (short, categories []string) {
	if r.gvr.Group == "extensions" {
		return nil, nil
	}
	return r.Short, r.Categories
}

// subresources are those of the row, in the version at hand.
func (r *served) subresources() []api.Subresource {
	subs := subresources(r.Resource)
	for i := range subs {
		if subs[i].Kind == r.GVK {
			subs[i].Kind = r.gvk
		}
		if subs[i].Name == "scale" && r.version != nil && r.version.Scale != nil {
			subs[i].Kind = r.version.Scale.Kind
		}
	}
	if r.version != nil && len(r.version.Subresources) > 0 {
		subs = append(subs, r.version.Subresources...)
		slices.SortFunc(subs, func(a, b api.Subresource) int { return strings.Compare(a.Name, b.Name) })
	}
	return subs
}

// storageHash tells clients when the stored form of a kind changes.
func storageHash(gvk schema.GroupVersionKind) string {
	return hashText(gvk.Group + "/" + gvk.Version + "/" + gvk.Kind)
}

func (s *Server) serveAggregated(w http.ResponseWriter, r *http.Request, x *exchange, p string) error {
	list, etag := s.discovery.list(s, p, x.accept.v)
	w.Header().Set("ETag", etag)
	w.Header().Set("Vary", "Accept")
	w.Header().Set("Cache-Control", "public")
	if matchesETag(r, strings.Trim(etag, `"`)) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	out := *list
	out.APIVersion = "apidiscovery.k8s.io/" + x.accept.v
	b, err := encodeAggregated(&out, x.accept)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	s.headers(w, x, fmt.Sprintf("%s;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList", x.accept.media, x.accept.v))
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusOK)
	w.Write(b)
	return nil
}

// encodeAggregated writes a list in the form that the client chose. Both versions
// of the list have the same fields, in protobuf as well.
func encodeAggregated(list *apidiscoveryv2.APIGroupDiscoveryList, a accepted) ([]byte, error) {
	switch a.media {
	case mediaProtobuf:
		b, _, err := envelope(list.GroupVersionKind(), list)
		return b, err
	case mediaCBOR:
		return encodeCBOR(list)
	}
	b, err := marshalJSON(list)
	if err != nil {
		return nil, err
	}
	if a.media == mediaYAML {
		return yaml.JSONToYAML(b)
	}
	return append(b, '\n'), nil
}

// forget has the lists made anew when they are asked for next.
func (d *discovery) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.core, d.groups, d.etags = nil, nil, nil
}

// list is the answer to a path and its tag.
func (d *discovery) list(s *Server, p, version string) (*apidiscoveryv2.APIGroupDiscoveryList, string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.etags == nil {
		d.build(s)
	}
	if p == "/api" {
		return d.core, d.etags[p+version]
	}
	return d.groups, d.etags[p+version]
}

// build makes the lists. The lock is held.
func (d *discovery) build(s *Server) {
	newList := func() *apidiscoveryv2.APIGroupDiscoveryList {
		return &apidiscoveryv2.APIGroupDiscoveryList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupDiscoveryList", APIVersion: "apidiscovery.k8s.io/v2"}, Items: []apidiscoveryv2.APIGroupDiscovery{}}
	}
	d.core, d.groups, d.etags = newList(), newList(), map[string]string{}
	elsewhere := map[schema.GroupVersion]apidiscoveryv2.APIVersionDiscovery{}
	for _, v := range s.aggregator.Groups() {
		elsewhere[v.GroupVersion] = v.Discovery
	}
	groups, versions := s.groupVersions()
	for _, g := range groups {
		item := apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: g}}
		for _, v := range versions[g] {
			if d, ok := elsewhere[schema.GroupVersion{Group: g, Version: v}]; ok {
				item.Versions = append(item.Versions, d)
				continue
			}
			item.Versions = append(item.Versions, apidiscoveryv2.APIVersionDiscovery{Version: v, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent, Resources: s.resourceDiscovery(g, v)})
		}
		if g == "" {
			d.core.Items = append(d.core.Items, item)
		} else {
			d.groups.Items = append(d.groups.Items, item)
		}
	}
	for _, v := range []string{"v2", "v2beta1"} {
		for p, l := range map[string]*apidiscoveryv2.APIGroupDiscoveryList{"/api": d.core, "/apis": d.groups} {
			b, _ := marshalJSON(l)
			sum := sha512.Sum512(append(b, v...))
			d.etags[p+v] = `"` + strings.ToUpper(hex.EncodeToString(sum[:])) + `"`
		}
	}
}

func (s *Server) resourceDiscovery(group, version string) []apidiscoveryv2.APIResourceDiscovery {
	gv := schema.GroupVersion{Group: group, Version: version}
	var out []apidiscoveryv2.APIResourceDiscovery
	kind := func(r *served, k schema.GroupVersionKind) *metav1.GroupVersionKind {
		if k.GroupVersion() == gv && r.Custom == nil {
			// compat: what is of the group version itself goes without it, but for custom kinds.
			return &metav1.GroupVersionKind{Kind: k.Kind}
		}
		return &metav1.GroupVersionKind{Group: k.Group, Version: k.Version, Kind: k.Kind}
	}
	for _, r := range s.servedIn(gv) {
		d := apidiscoveryv2.APIResourceDiscovery{Resource: r.GVR.Resource, ResponseKind: kind(r, r.gvk), Scope: apidiscoveryv2.ScopeCluster,
			SingularResource: r.Singular, Verbs: r.Verbs}
		d.ShortNames, d.Categories = r.nicknames()
		if r.Namespaced {
			d.Scope = apidiscoveryv2.ScopeNamespace
		}
		for _, sub := range r.subresources() {
			d.Subresources = append(d.Subresources, apidiscoveryv2.APISubresourceDiscovery{Subresource: sub.Name, ResponseKind: kind(r, sub.Kind), Verbs: sub.Verbs})
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b apidiscoveryv2.APIResourceDiscovery) int { return strings.Compare(a.Resource, b.Resource) })
	return out
}

// paths lists what there is, as the root of the server tells it.
func (s *Server) paths() []string {
	out := []string{"/api", "/apis", "/apis/", "/debug/pprof", "/metrics", "/metrics/slis", "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/version"}
	for _, of := range []string{"healthz", "livez", "readyz"} {
		out = append(out, "/"+of)
		for _, c := range s.healthChecks(of) {
			out = append(out, "/"+of+"/"+c.name)
		}
	}
	if s.Tokens != nil {
		out = append(out, "/"+openIDConfiguration, "/"+openIDKeys)
	}
	groups, versions := s.groupVersions()
	for _, g := range groups {
		root := "/apis/" + g
		if g == "" {
			root = "/api"
		} else {
			out = append(out, root)
		}
		for _, v := range versions[g] {
			out = append(out, root+"/"+v)
		}
	}
	slices.Sort(out)
	return out
}
