package conformance

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// hook serves a webhook of this test process and gives the clientConfig with which it is called.
func hook(t *T, f http.HandlerFunc) map[string]any {
	t.Helper()
	s := httptest.NewTLSServer(f)
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return map[string]any{"url": s.URL, "caBundle": base64.StdEncoding.EncodeToString(ca)}
}

// convert splits hostPort of v1 into host and port of v2, and joins them again.
func convert(w http.ResponseWriter, r *http.Request) {
	var review struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Request    map[string]any `json:"request,omitempty"`
		Response   map[string]any `json:"response"`
	}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	wanted := review.Request["desiredAPIVersion"].(string)
	var converted []any
	for _, o := range review.Request["objects"].([]any) {
		o := o.(map[string]any)
		if o["apiVersion"] != wanted {
			o["apiVersion"] = wanted
			if strings.HasSuffix(wanted, "/v2") {
				host, port, _ := strings.Cut(o["hostPort"].(string), ":")
				delete(o, "hostPort")
				o["host"], o["port"] = host, port
			} else {
				o["hostPort"] = o["host"].(string) + ":" + o["port"].(string)
				delete(o, "host")
				delete(o, "port")
			}
		}
		converted = append(converted, o)
	}
	review.Response = map[string]any{"uid": review.Request["uid"], "convertedObjects": converted, "result": map[string]any{"status": "Success"}}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}

func TestConversion(t *testing.T) {
	start := func(t *T) kind {
		t.Helper()
		str := map[string]any{"type": "string"}
		return defineAs(t, "Convert", name("stable")+".example.com", map[string]any{"conversion": map[string]any{"strategy": "Webhook",
			"webhook": map[string]any{"clientConfig": hook(t, convert), "conversionReviewVersions": []any{"v1", "v1beta1"}}}},
			versioned("v1", true, map[string]any{"type": "object", "properties": map[string]any{"hostPort": str}}),
			versioned("v2", false, map[string]any{"type": "object", "properties": map[string]any{"host": str, "port": str}}))
	}
	conform(t, "[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert from CR v1 to CR v2", func(t *T) {
		k := start(t)
		_, err := t.d.Resource(k.GroupVersionResource).Namespace(t.ns).Create(t.ctx, custom(k, "cr", map[string]any{"hostPort": "localhost:8080"}), metav1.CreateOptions{})
		t.ok(err)
		u, err := t.d.Resource(k.in("v2").GroupVersionResource).Namespace(t.ns).Get(t.ctx, "cr", metav1.GetOptions{})
		t.ok(err)
		t.want(u.Object["host"] == "localhost" && u.Object["port"] == "8080" && u.Object["hostPort"] == nil, "%v", u.Object)
	})
	conform(t, "[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert a non homogeneous list of CRs", func(t *T) {
		k := start(t)
		v1, v2 := t.d.Resource(k.GroupVersionResource).Namespace(t.ns), t.d.Resource(k.in("v2").GroupVersionResource).Namespace(t.ns)
		_, err := v1.Create(t.ctx, custom(k, "one", map[string]any{"hostPort": "localhost:8080"}), metav1.CreateOptions{})
		t.ok(err)
		redefine(t, k, types.JSONPatchType, `[{"op":"replace","path":"/spec/versions/0/storage","value":false},{"op":"replace","path":"/spec/versions/1/storage","value":true}]`)
		t.eventually("v2 is what is stored", func() bool {
			_, err := v2.Create(t.ctx, custom(k.in("v2"), "two", map[string]any{"host": "localhost", "port": "8080"}), metav1.CreateOptions{})
			return err == nil
		})
		list, err := v1.List(t.ctx, metav1.ListOptions{})
		t.ok(err)
		t.want(len(list.Items) == 2, "%d objects", len(list.Items))
		for _, u := range list.Items {
			t.want(u.Object["hostPort"] == "localhost:8080" && u.GetAPIVersion() == k.GroupVersion().String(), "%v", u.Object)
		}
		list, err = v2.List(t.ctx, metav1.ListOptions{})
		t.ok(err)
		for _, u := range list.Items {
			t.want(u.Object["host"] == "localhost" && u.Object["port"] == "8080", "%v", u.Object)
		}
	})
}
