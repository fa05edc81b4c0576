package apiserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

// Authorization decides on the attributes that parseInfo finds; handlers act on
// objects. These tests hold the two against each other: whatever a URL looks like,
// nothing may be read or written that the attributes do not name (the class of
// CVE-2019-11247 and CVE-2022-3162).

// world is a server in which every object says where it is, and every name is
// used in every kind and namespace, so that a mix-up does not hide behind a 404.
type world struct {
	s    *Server
	stop func()
}

var worldNames = []string{"a", "b", "one", "status", "watch", "namespaces", "secrets"}

const whereKey = "test/where"

func where(r *api.Resource, ns, name string) string {
	return r.GVR.Group + "|" + r.GVR.Resource + "|" + ns + "|" + name
}

func worldRows() []*api.Resource {
	return []*api.Resource{all.For[*corev1.ConfigMap](), all.For[*corev1.Secret](), all.For[*corev1.ServiceAccount](), all.For[*appsv1.Deployment](),
		all.For[*corev1.Node](), all.For[*rbacv1.ClusterRole](), all.For[*schedulingv1.PriorityClass]()}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := New(ctx, Options{Store: mem.New(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	w := &world{s: s, stop: func() { cancel(); <-done; s.Store.Close() }}
	for _, n := range worldNames {
		w.put(t, all.For[*corev1.Namespace](), "", n)
	}
	w.fill(t)
	return w
}

// fill makes what is missing.
func (w *world) fill(t testing.TB) {
	for _, r := range worldRows() {
		for _, n := range worldNames {
			if !r.Namespaced {
				w.put(t, r, "", n)
				continue
			}
			for _, ns := range []string{"a", "b"} {
				w.put(t, r, ns, n)
			}
		}
	}
}

func (w *world) put(t testing.TB, r *api.Resource, ns, name string) {
	if w.s.cache(r).get(r.Key(ns, name)) != nil {
		return
	}
	o := r.New()
	if d, ok := o.(*appsv1.Deployment); ok {
		d.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		d.Spec.Template.Labels = d.Spec.Selector.MatchLabels
		d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: "i"}}
	}
	o.SetNamespace(ns)
	o.SetName(name)
	o.SetAnnotations(map[string]string{whereKey: where(r, ns, name)})
	if _, err := w.s.Client(auth.System).Create(context.Background(), r, o); err != nil {
		t.Fatalf("create %s: %v", where(r, ns, name), err)
	}
}

// state is every object by where it is, with its revision.
func (w *world) state() map[string]int64 {
	out := map[string]int64{}
	for r, c := range w.s.kinds.Load().caches {
		scan(c.snapshot(), &selector{prefix: "/registry/" + r.Storage + "/"}, "", func(e *entry) bool {
			out[where(r, e.object().GetNamespace(), e.object().GetName())] = e.rev
			return true
		})
	}
	return out
}

// asMasters makes a request one of an administrator.
func asMasters(r *http.Request) *http.Request {
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "admin", Organization: []string{auth.GroupMasters}}}
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
	return r
}

// rawRequest reads a request as it comes over the wire; nil when net/http refuses it.
func rawRequest(method, target string, header map[string]string, body string) *http.Request {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n", method, target, len(body))
	for k, v := range header {
		fmt.Fprintf(&b, "%s: %s\r\n", k, v)
	}
	b.WriteString("\r\n" + body)
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(b.String())))
	if err != nil {
		return nil
	}
	return r
}

// covers tells whether the attributes name the object.
func covers(i *info, object string) bool {
	p := strings.SplitN(object, "|", 4)
	ns := i.ns
	if i.resource == "namespaces" {
		ns = ""
	}
	return i.resourceRequest && p[0] == i.group && p[1] == i.resource && (ns == "" && i.name == "" || p[2] == ns) &&
		(i.authorizedName() == "" || p[3] == i.authorizedName())
}

func mutatingVerb(v string) bool {
	switch v {
	case "create", "update", "patch", "delete", "deletecollection":
		return true
	}
	return false
}

// check runs one request and compares what it did with what it said it would do.
func (w *world) check(t *testing.T, r *http.Request, what string) (changed []string) {
	t.Helper()
	i := parseInfo(r)
	before := w.state()
	ctx, cancel := context.WithCancel(r.Context())
	if i.verb == "watch" {
		cancel() // it sends what there is, and ends
	}
	defer cancel()
	rec := httptest.NewRecorder()
	w.s.ServeHTTP(rec, asMasters(r.WithContext(ctx)))
	if rec.Code >= 500 && rec.Code != http.StatusServiceUnavailable && !strings.Contains(rec.Body.String(), "field not declared in schema") {
		t.Errorf("%s: %d %s", what, rec.Code, rec.Body)
	}
	for _, o := range objectsIn(rec.Body.Bytes()) {
		if !covers(i, o) && !(i.verb == "create" && strings.HasPrefix(o, i.group+"|"+i.resource+"|")) {
			t.Errorf("%s: answered with %s, authorized as %+v", what, o, i)
		}
	}
	after := w.state()
	for k, rev := range after {
		if before[k] != rev {
			changed = append(changed, k)
		}
	}
	for k := range before {
		if after[k] == 0 {
			changed = append(changed, k)
		}
	}
	for _, c := range changed {
		if !mutatingVerb(i.verb) || !covers(i, c) {
			t.Errorf("%s: changed %s, authorized as %+v", what, c, i)
		}
		_, was := before[c]
		_, is := after[c]
		if want := map[string]bool{"create": !was && is, "delete": was, "deletecollection": was, "update": is, "patch": is}; !want[i.verb] {
			t.Errorf("%s: %s of %s, which was there: %t, and is: %t", what, i.verb, c, was, is)
		}
	}
	return changed
}

// objectsIn finds the marks of all objects in an answer, however deep.
func objectsIn(b []byte) []string {
	var out []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if m, ok := v[whereKey].(string); ok {
				out = append(out, m)
			}
			for _, c := range v {
				walk(c)
			}
		case []any:
			for _, c := range v {
				walk(c)
			}
		}
	}
	for dec := json.NewDecoder(bytes.NewReader(b)); ; {
		var v any
		if dec.Decode(&v) != nil {
			return out
		}
		walk(v)
	}
}

var (
	skeletons = []string{
		"api/v1/namespaces/a/configmaps/one", "api/v1/namespaces/b/secrets", "api/v1/namespaces/a", "api/v1/namespaces", "api/v1/namespaces/a/status",
		"api/v1/namespaces/b/finalize", "api/v1/nodes/one", "api/v1/nodes", "api/v1/nodes/one/status", "api/v1/configmaps", "api/v1/watch/namespaces/a/secrets",
		"api/v1/watch/namespaces/a/secrets/one", "api/v1/watch/configmaps", "api/v1/watch/nodes/one", "apis/apps/v1/namespaces/a/deployments/one",
		"apis/apps/v1/namespaces/a/deployments/one/status", "apis/apps/v1/namespaces/a/deployments/one/scale", "apis/apps/v1/deployments",
		"apis/rbac.authorization.k8s.io/v1/clusterroles/one", "apis/rbac.authorization.k8s.io/v1/clusterroles",
		"apis/scheduling.k8s.io/v1/priorityclasses/one", "api/v1/namespaces/a/serviceaccounts/one/token", "api", "apis", "apis/apps", "api/v1",
	}
	segments = []string{"", ".", "..", "%2e", "%2e%2e", "%2E.", "%2F", "%2f..%2f", "a", "b", "one", "a%2Fsecrets", "one%2F..%2Fb", "one;x=y", "ONE", "ConfigMaps",
		"configmaps", "secrets", "nodes", "namespaces", "watch", "status", "finalize", "scale", "token", "proxy", "one%00", "one%20", "%6fne", "one%3Fwatch=1", "one%23x",
		"deployments", "clusterroles", "priorityclasses", "v1", "api", "apis", "apps", "one%252F", "%c0%af", "o%cc%88ne", "*", "-", "\\..\\", "https:one:80"}
	queries = []string{"", "", "", "?name=b", "?namespace=b&name=b", "?fieldSelector=metadata.name%3Done", "?fieldSelector=metadata.name=a,metadata.name=b",
		"?fieldSelector=metadata.name%3Done&fieldSelector=metadata.name%3Db", "?fieldSelector=metadata.name!%3Done", "?fieldSelector=metadata.namespace%3Db",
		"?fieldSelector=metadata.name%3Done;metadata.name%3Db", "?fieldSelector=metadata.name%3D..", "?fieldSelector=metadata.name%3D%3Done", "?watch=true", "?watch=1", "?watch",
		"?watch=yes&fieldSelector=metadata.name%3Done", "?watch=false&watch=true", "?watch=0", "?watch=False", "?WATCH=true", "?_method=DELETE", "?method=DELETE&watch=true",
		"?limit=1", "?labelSelector=a", "?dryRun=All", "?resource=secrets", "?watch=true;x", "?%77atch=true", "?fieldSelector=", "?as=Table", "?force=true&fieldManager=x"}
	overrides = []map[string]string{nil, nil, {"X-HTTP-Method-Override": "DELETE"}, {"X-HTTP-Method": "DELETE"}, {"X-Method-Override": "PUT"},
		{"X-Original-URL": "/api/v1/namespaces/b/secrets/one"}, {"X-Rewrite-URL": "/api/v1/namespaces/b/secrets/one"}, {"X-Forwarded-Prefix": "/api/v1/namespaces/b"},
		{"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}, {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"},
		{"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}}
	methods = []string{"GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "PROPFIND", "WATCH", "CONNECT"}
)

func mutated(rng *rand.Rand) string {
	pick := func(l []string) string { return l[rng.IntN(len(l))] }
	parts := strings.Split(pick(skeletons), "/")
	for range max(rng.IntN(5)-1, 0) {
		at := rng.IntN(len(parts) + 1)
		switch rng.IntN(4) {
		case 0:
			parts = append(parts[:at:at], append([]string{pick(segments)}, parts[at:]...)...)
		case 1:
			if at < len(parts) {
				parts[at] = pick(segments)
			}
		case 2:
			if at < len(parts) && len(parts) > 1 {
				parts = append(parts[:at:at], parts[at+1:]...)
			}
		case 3:
			if at < len(parts) {
				parts[at] = pick(worldNames)
			}
		}
	}
	return "/" + strings.Join(parts, "/") + pick([]string{"", "", "", "/", "//", "/.", "/.."}) + pick(queries)
}

// bodyFor is an object for a write: mostly of the right kind, its name and
// namespace those of the URL, left out, or others.
func bodyFor(rng *rand.Rand, i *info) string {
	r := all.ByGVR(i.gvr())
	if r == nil || rng.IntN(10) == 0 {
		r = worldRows()[rng.IntN(len(worldRows()))]
	}
	meta := map[string]any{}
	for field, own := range map[string]string{"name": i.name, "namespace": i.ns} {
		switch rng.IntN(4) {
		case 0, 1:
			meta[field] = own
		case 2:
			meta[field] = []string{"a", "b", "one", "new", "../b", "a/b", "", "a\x00"}[rng.IntN(8)]
		}
	}
	if rng.IntN(8) == 0 {
		meta["generateName"] = "made-"
	}
	meta["labels"] = map[string]string{"n": fmt.Sprint(rng.IntN(1 << 30))}
	b, _ := json.Marshal(map[string]any{"kind": r.GVK.Kind, "apiVersion": r.GVK.GroupVersion().String(), "metadata": meta, "value": 5,
		"propagationPolicy": "Background"})
	return string(b)
}

func TestAttributesNameWhatIsTouched(t *testing.T) {
	rounds := 15000
	if testing.Short() {
		rounds = 4000
	}
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, 2))
	w := newWorld(t)
	defer func() { w.stop() }()
	wrote, served := map[string]int{}, 0
	for n := range rounds {
		method, target := methods[rng.IntN(len(methods))], mutated(rng)
		header := map[string]string{"Content-Type": "application/json"}
		for k, v := range overrides[rng.IntN(len(overrides))] {
			header[k] = v
		}
		probe := rawRequest(method, target, nil, "")
		if probe == nil {
			continue
		}
		i := parseInfo(probe)
		body := ""
		if (mutatingVerb(i.verb) || method == "POST") && (method != "DELETE" || rng.IntN(3) == 0) {
			body = bodyFor(rng, i)
		}
		if method == "PATCH" {
			header["Content-Type"] = []string{"application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"}[rng.IntN(3)]
		}
		served++
		changed := w.check(t, rawRequest(method, target, header, body), fmt.Sprintf("round %d: %s %s %v %s", n, method, target, header, body))
		for _, c := range changed {
			wrote[i.verb]++
			if strings.HasPrefix(c, "|namespaces|") {
				w.stop()
				w = newWorld(t)
				break
			}
		}
		if len(changed) > 0 {
			w.fill(t)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	// A test that touches nothing shows nothing.
	for _, verb := range []string{"create", "update", "patch", "delete", "deletecollection"} {
		if wrote[verb] == 0 {
			t.Errorf("of %d requests none was a %s that changed anything: %v", served, verb, wrote)
		}
	}
	t.Log(served, wrote)
}

// FuzzPath: every path means one thing, and one thing has one path: what was read
// from it, written down again, is the path.
func FuzzPath(f *testing.F) {
	for _, s := range skeletons {
		f.Add("GET", "/"+s)
		f.Add("DELETE", "/"+s+"/")
	}
	for _, s := range segments {
		f.Add("GET", "/api/v1/namespaces/"+s+"/pods/"+s+"/proxy/"+s)
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		if strings.ContainsAny(method+target, " \r\n\t") {
			return
		}
		r := rawRequest(method, target, nil, "")
		if r == nil {
			return
		}
		i := parseInfo(r)
		if !i.resourceRequest {
			return
		}
		got := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/")
		ok := false
		for _, want := range pathsOf(i) {
			ok = ok || strings.TrimSuffix(want, "/") == got
		}
		if !ok {
			t.Fatalf("%q is read as %+v, which is %q", r.URL.Path, i, pathsOf(i))
		}
	})
}

// pathsOf are the paths that mean what i says: with and without watch.
func pathsOf(i *info) []string {
	root := "api/" + i.version + "/"
	if i.group != "" {
		root = "apis/" + i.group + "/" + i.version + "/"
	}
	p := ""
	if i.ns != "" && (i.resource != "namespaces" || i.group != "") {
		p = "namespaces/" + i.ns + "/"
	}
	p += i.resource
	for _, s := range []string{i.name, i.sub, i.rest} {
		if s != "" {
			p += "/" + s
		}
	}
	if i.verb != "watch" {
		return []string{root + p}
	}
	return []string{root + p, root + "watch/" + p}
}

func TestAttributes(t *testing.T) {
	for _, c := range []struct{ method, target, want string }{
		{"GET", "/api/v1/namespaces/a/pods/x", "get ||pods//a|x"},
		{"HEAD", "/api/v1/namespaces/a/pods", "list ||pods//a|"},
		{"GET", "/api/v1/namespaces/a/pods?watch=1", "watch ||pods//a|"},
		{"GET", "/api/v1/namespaces/a/pods?watch", "watch ||pods//a|"},
		{"GET", "/api/v1/namespaces/a/pods/x?watch=1", "get ||pods//a|x"},
		{"GET", "/api/v1/watch/namespaces/a/pods/x", "watch ||pods//a|x"},
		{"DELETE", "/api/v1/watch/namespaces/a/pods/x", "watch ||pods//a|x"},
		{"GET", "/api/v1/pods?fieldSelector=metadata.name%3Dx", "list ||pods//|x"},
		{"GET", "/api/v1/pods?fieldSelector=metadata.name!%3Dx", "list ||pods//|"},
		{"DELETE", "/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Dx", "deletecollection ||pods//a|"},
		{"GET", "/api/v1/namespaces/a", "get ||namespaces//a|a"},
		{"PUT", "/api/v1/namespaces/a/finalize", "update ||namespaces/finalize/a|a"},
		{"GET", "/api/v1/namespaces/a/status", "get ||namespaces/status/a|a"},
		{"GET", "/apis/apps/v1/namespaces/a/deployments/x/scale", "get apps|deployments/scale/a|x"},
		{"POST", "/api/v1/namespaces/a/services/https:x:443/proxy/y//z/", "create ||services/proxy/a|https:x:443"},
		{"GET", "/api/v1/namespaces/a%2Fsecrets/x", "get ||secrets//a|x"},
		{"GET", "/api/v1/namespaces/a/pods/%2e%2e/secrets", ""},
		{"GET", "/api/v1/namespaces/a/pods/../secrets", ""},
		{"GET", "/api/v1/namespaces//pods", ""},
		{"GET", "//api/v1/pods", ""},
		{"GET", "/apis//v1/pods", ""},
		{"GET", "/api/v1/namespaces/a/namespaces/b", ""},
		{"GET", "/api/v1/namespaces/a/pods/x/status/y", ""},
		{"GET", "/api/v1/watch/namespaces/a/pods/x/log", ""},
		{"GET", "/API/v1/pods", ""},
	} {
		i := parseInfo(rawRequest(c.method, c.target, nil, ""))
		got := ""
		if i.resourceRequest {
			got = fmt.Sprintf("%s %s|%s/%s/%s|%s", i.verb, i.group, i.resource, i.sub, i.ns, i.authorizedName())
		}
		if want := strings.Replace(c.want, "||", "|", 1); got != want {
			t.Errorf("%s %s: %q, want %q", c.method, c.target, got, want)
		}
	}
}
