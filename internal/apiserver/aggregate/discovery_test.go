package aggregate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

func TestResourcesOf(t *testing.T) {
	l := resources("pods")
	l.APIResources[0].ShortNames, l.APIResources[0].Categories, l.APIResources[0].SingularName = []string{"po"}, []string{"all"}, "pod"
	l.APIResources = append(l.APIResources,
		metav1.APIResource{Name: "pods/status", Namespaced: true, Kind: "PodMetrics", Verbs: metav1.Verbs{"get"}},
		metav1.APIResource{Name: "pods/eviction", Namespaced: true, Group: "policy", Version: "v1", Kind: "Eviction", Verbs: metav1.Verbs{"create"}},
		metav1.APIResource{Name: "nodes/proxy", Kind: "NodeProxyOptions", Verbs: metav1.Verbs{"get"}},
	)
	b, _ := json.Marshal(l)
	got, err := resourcesOf(b, schema.GroupVersion{Group: theGroup, Version: theVersion})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(got)
	const want = `[{"resource":"pods","responseKind":{"group":"","version":"","kind":"PodMetrics"},"scope":"Namespaced","singularResource":"pod","verbs":["get","list"],"shortNames":["po"],"categories":["all"],` +
		`"subresources":[{"subresource":"status","responseKind":{"group":"","version":"","kind":"PodMetrics"},"verbs":["get"]},{"subresource":"eviction","responseKind":{"group":"policy","version":"v1","kind":"Eviction"},"verbs":["create"]}]},` +
		`{"resource":"nodes","responseKind":{"group":"","version":"","kind":""},"scope":"Cluster","singularResource":"","verbs":null,"subresources":[{"subresource":"proxy","responseKind":{"group":"","version":"","kind":"NodeProxyOptions"},"verbs":["get"]}]}]`
	if string(text) != want {
		t.Errorf("got %s", text)
	}
	for _, bad := range []string{"", "hello", "[]", `{"kind":"Status"}`, "null"} {
		if _, err := resourcesOf([]byte(bad), schema.GroupVersion{}); err == nil {
			t.Errorf("%q was understood", bad)
		}
	}
}

// TestGroups: what a backend serves is told as long as it is known, and said to be stale when it is.
func TestGroups(t *testing.T) {
	var list atomic.Pointer[metav1.APIResourceList]
	list.Store(resources("pods"))
	c := newCluster(t, service(), endpoints(true))
	c.serveBackend(theAddress, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Remote-User") != "system:kube-aggregator" || r.Header.Get("X-Remote-Group") != "system:masters" || r.Header.Get("Accept") != "application/json" {
			t.Errorf("%v", r.Header)
		}
		if l := list.Load(); l != nil {
			json.NewEncoder(w).Encode(l)
		} else {
			http.Error(w, "down", 500)
		}
	})
	tell := func() string {
		var out []string
		for _, v := range c.a.Groups() {
			s := fmt.Sprintf("%s %s %v:", v.GroupVersion, v.Discovery.Freshness, v.Available)
			for _, r := range v.Discovery.Resources {
				s += " " + r.Resource
			}
			out = append(out, s)
		}
		return strings.Join(out, "\n")
	}
	await := func(want string) {
		t.Helper()
		c.until(func() bool { return tell() == want })
	}
	c.run()
	await("")
	c.put(c.apiService())
	await("metrics.example.com/v1beta1 Current true: pods")
	list.Store(resources("pods", "nodes"))
	c.put(endpoints(true)) // an event has it looked at
	await("metrics.example.com/v1beta1 Current true: pods nodes")
	list.Store(nil)
	c.put(endpoints(true))
	await("metrics.example.com/v1beta1 Stale false: pods nodes")
	list.Store(resources("pods", "nodes"))
	await("metrics.example.com/v1beta1 Current true: pods nodes")
	second := c.apiService()
	second.Name, second.Spec.Version, second.Spec.VersionPriority = "v1."+theGroup, "v1", 200
	second.Spec.Service = &apiregistrationv1.ServiceReference{Namespace: "kube-system", Name: "nobody"}
	c.put(second)
	await("metrics.example.com/v1 Stale false:\nmetrics.example.com/v1beta1 Current true: pods nodes")
	c.remove(c.apiService())
	c.remove(second)
	await("")
}

func TestOrder(t *testing.T) {
	c := newCluster(t)
	remote := c.apiService()
	remote.Spec.GroupPriorityMinimum = 17450 // between autoscaling and batch
	upper := c.apiService()
	upper.Name, upper.Spec.Group, upper.Spec.Version, upper.Spec.VersionPriority = "v3.apps", "apps", "v3", 999
	hidden := c.apiService()
	hidden.Name, hidden.Spec.Group, hidden.Spec.Version, hidden.Spec.GroupPriorityMinimum = "v1alpha1.stable.example.com", "stable.example.com", "v1alpha1", 900
	for _, o := range []*apiregistrationv1.APIService{remote, upper, hidden} {
		c.a.take(o)
	}
	// A group that people have put elsewhere.
	moved := managedAs(onStart, 15)
	moved.Name, moved.Spec.Group, moved.Spec.GroupPriorityMinimum = "v1.policy", "policy", 17990
	c.a.take(moved)
	groups, versions := c.a.Order(gvs("v1", "apps/v1beta1", "apps/v1", "autoscaling/v2", "autoscaling/v1", "batch/v1", "policy/v1", "extensions/v1beta1", "apiregistration.k8s.io/v1", "apiextensions.k8s.io/v1", "admissionregistration.k8s.io/v1"),
		gvs("stable.example.com/v1", "stable.example.com/v1beta1", "stable.example.com/v2", "another.example.com/v1"))
	var out strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&out, "%q %v\n", g, versions[g])
	}
	const want = `"apiregistration.k8s.io" [v1]
"" [v1]
"policy" [v1]
"apps" [v3 v1 v1beta1]
"autoscaling" [v2 v1]
"metrics.example.com" [v1beta1]
"batch" [v1]
"admissionregistration.k8s.io" [v1]
"apiextensions.k8s.io" [v1]
"extensions" [v1beta1]
"another.example.com" [v1]
"stable.example.com" [v2 v1 v1beta1 v1alpha1]
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}

func TestTrustMap(t *testing.T) {
	m := TrustMap([]byte("A"), []byte("B"), []string{"front-proxy-client"})
	b, _ := json.Marshal(m.Data)
	const want = `{"client-ca-file":"A","requestheader-allowed-names":"[\"front-proxy-client\"]","requestheader-client-ca-file":"B","requestheader-extra-headers-prefix":"[\"X-Remote-Extra-\"]",` +
		`"requestheader-group-headers":"[\"X-Remote-Group\"]","requestheader-uid-headers":"[\"X-Remote-Uid\"]","requestheader-username-headers":"[\"X-Remote-User\"]"}`
	if string(b) != want || m.Namespace != "kube-system" || m.Name != "extension-apiserver-authentication" {
		t.Errorf("%s/%s %s", m.Namespace, m.Name, b)
	}
	if m := TrustMap([]byte("A"), nil, nil); len(m.Data) != 1 {
		t.Errorf("%v", m.Data)
	}
}
