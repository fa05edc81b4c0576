package conformance

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// address is one of this machine that an endpoint may have: no loopback address.
func address(t *T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	t.ok(err)
	for _, a := range all {
		if n, is := a.(*net.IPNet); is && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback ones")
	return ""
}

func TestAggregator(t *testing.T) {
	conform(t, "[sig-api-machinery] Aggregator Should be able to support the 1.17 Sample API Server using the current Aggregator", func(t *T) {
		host, group := address(t), name("wardle")+".example.com"
		flunder := map[string]any{"apiVersion": group + "/v1alpha1", "kind": "Flunder", "metadata": map[string]any{"name": "one", "namespace": t.ns}}
		answers := map[string]any{
			"/apis":                        map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}},
			"/apis/" + group + "/v1alpha1": map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group + "/v1alpha1", "resources": []any{map[string]any{"name": "flunders", "singularName": "flunder", "namespaced": true, "kind": "Flunder", "verbs": []any{"get", "list"}}}},
			"/apis/" + group + "/v1alpha1/namespaces/" + t.ns + "/flunders": map[string]any{"kind": "FlunderList", "apiVersion": group + "/v1alpha1", "metadata": map[string]any{"resourceVersion": "1"}, "items": []any{flunder}},
		}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer, is := answers[r.URL.Path]
			if !is {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Asked-As", r.Header.Get("X-Remote-User"))
			_ = json.NewEncoder(w).Encode(answer)
		}))
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		t.ok(err)
		_ = s.Listener.Close()
		s.Listener = l
		s.StartTLS()
		t.Cleanup(s.Close)
		port := int32(l.Addr().(*net.TCPAddr).Port)
		_, err = t.c.CoreV1().Services(t.ns).Create(t.ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "sample-api"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 7443}}}}, metav1.CreateOptions{})
		t.ok(err)
		_, err = t.c.DiscoveryV1().EndpointSlices(t.ns).Create(t.ctx, &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "sample-api", Labels: map[string]string{discoveryv1.LabelServiceName: "sample-api"}}, AddressType: discoveryv1.AddressTypeIPv4,
			Ports: []discoveryv1.EndpointPort{{Name: ptr(""), Port: &port}}, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{host}}}}, metav1.CreateOptions{})
		t.ok(err)
		services := t.d.Resource(gvr("apiregistration.k8s.io", "v1", "apiservices"))
		n := "v1alpha1." + group
		_, err = services.Create(t.ctx, object(`{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: %s, labels: {e2e: %s}}, spec: {group: %s, version: v1alpha1, groupPriorityMinimum: 2000, versionPriority: 200, insecureSkipTLSVerify: true, service: {namespace: %s, name: sample-api, port: 7443}}}`, n, t.ns, group, t.ns), metav1.CreateOptions{})
		t.ok(err)
		t.Cleanup(func() { _ = services.Delete(t.Context(), n, metav1.DeleteOptions{}) })
		condition := func() (status string) {
			u, err := services.Get(t.ctx, n, metav1.GetOptions{})
			t.ok(err)
			cs, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
			for _, c := range cs {
				if c := c.(map[string]any); c["type"] == "Available" {
					status, _ = c["status"].(string)
				}
			}
			return status
		}
		t.eventually("the APIService is available", func() bool { return condition() == "True" })
		flunders := t.d.Resource(gvr(group, "v1alpha1", "flunders")).Namespace(t.ns)
		t.eventually("flunders are listed", func() bool {
			list, err := flunders.List(t.ctx, metav1.ListOptions{})
			return err == nil && len(list.Items) == 1 && list.Items[0].GetName() == "one"
		})
		t.eventually("flunders are discovered", func() bool {
			b, _, err := t.raw("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
			t.ok(err)
			return inDiscovery(t, b)[group+"/v1alpha1/flunders"]
		})
		u, err := services.Patch(t.ctx, n, types.MergePatchType, []byte(`{"spec":{"versionPriority":400}}`), metav1.PatchOptions{})
		t.ok(err)
		priority, _, _ := unstructured.NestedInt64(u.Object, "spec", "versionPriority")
		t.want(priority == 400, "%d", priority)
		_, err = services.Patch(t.ctx, n, types.MergePatchType, []byte(`{"status":{"conditions":[{"type":"StatusPatched","status":"True","reason":"E2E","message":"Set by e2e test"}]}}`), metav1.PatchOptions{}, "status")
		t.ok(err)
		t.ok(services.DeleteCollection(t.ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "e2e=" + t.ns}))
		t.eventually("the group is gone", func() bool {
			_, err := flunders.List(t.ctx, metav1.ListOptions{})
			return apierrors.IsNotFound(err)
		})
	})
	conform(t, "[sig-api-machinery] Aggregator should tell aggregated servers whom to trust", func(t *T) {
		cm, err := t.c.CoreV1().ConfigMaps("kube-system").Get(t.ctx, "extension-apiserver-authentication", metav1.GetOptions{})
		t.ok(err)
		for _, k := range []string{"client-ca-file", "requestheader-client-ca-file", "requestheader-allowed-names", "requestheader-username-headers", "requestheader-group-headers", "requestheader-extra-headers-prefix"} {
			t.want(cm.Data[k] != "", "%s is missing: %v", k, cm.Data)
		}
	})
}
