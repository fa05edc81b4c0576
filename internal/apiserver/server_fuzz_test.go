package apiserver

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
)

// Every reader of bytes from outside, fuzzed. `go test` runs the seeds and what
// was found before; `go test -fuzz NAME` looks for more.

// answered sends a request and wants an answer that is no 5xx.
func (b *besieged) answered(t *testing.T, method, target, media string, header map[string]string, body []byte) int {
	t.Helper()
	r := httptest.NewRequest(method, "/", bytes.NewReader(body))
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return 0
	}
	r.URL = u
	r.Header.Set("Content-Type", media)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, asMasters(r))
	// compat: an applied configuration that does not fit the schema is a 500.
	if w.Code >= 500 && !bytes.Contains(w.Body.Bytes(), []byte("failed to create typed patch object")) {
		t.Fatalf("%s %s (%s) %q: %d %.2000s %.3000s", method, target, media, body, w.Code, w.Body, b.logged())
	}
	return w.Code
}

const fuzzPod = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","labels":{"a":"b"},"finalizers":["x/y"]},"spec":{"containers":[{"name":"c","image":"i","env":[{"name":"E","value":"v"}],"ports":[{"containerPort":80}],"resources":{"requests":{"cpu":"1","memory":"1Gi"}}}],"tolerations":[{"operator":"Exists"}]}}`

func FuzzPatch(f *testing.F) {
	medias := []string{jsonPatch, mergePatch, smPatch, applyPatch}
	for m, seeds := range [][]string{
		{`[{"op":"add","path":"/metadata/labels/x","value":"y"},{"op":"copy","from":"/spec","path":"/x"},{"op":"move","from":"/metadata/labels","path":"/metadata/annotations"},{"op":"test","path":"/kind","value":"Pod"},{"op":"remove","path":"/spec/containers/0/env/-1"},{"op":"replace","path":"/spec/containers/0/image","value":"j"}]`, `[{"op":"add","path":"/spec/containers/-","value":null}]`},
		{`{"metadata":{"labels":null,"annotations":{"a":"b"}},"spec":{"containers":[]}}`, `{"status":{"podIP":"1.2.3.4"}}`},
		{`{"spec":{"containers":[{"name":"c","image":"j","env":[{"name":"E","$patch":"delete"}],"$setElementOrder/env":[{"name":"F"}]}],"$setElementOrder/containers":[{"name":"c"}],"$retainKeys":["containers"]},"metadata":{"$deleteFromPrimitiveList/finalizers":["x/y"]}}`, `{"spec":{"containers":[{"name":{}}]}}`, `{"spec":{"tolerations":[{"$patch":"replace"}]}}`},
		{"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: c\n    resources: {limits: {cpu: 1e3}}\n", `{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"z":"1"}},"spec":{"containers":[{"name":"c"},{"name":"c"}]}}`, "a: &a [*a]"},
	} {
		for _, s := range seeds {
			f.Add(m, []byte(s))
		}
	}
	b := besiege(f)
	b.do("POST", "/api/v1/namespaces/default/pods", "application/json", fuzzPod)
	f.Fuzz(func(t *testing.T, m int, patch []byte) {
		media := medias[uint(m)%uint(len(medias))]
		b.answered(t, "PATCH", "/api/v1/namespaces/default/pods/p?dryRun=All&force="+map[bool]string{true: "true&fieldManager=f", false: "false"}[media == applyPatch], media, nil, patch)
	})
}

func FuzzBody(f *testing.F) {
	medias := []string{mediaJSON, mediaYAML, mediaProtobuf, mediaCBOR}
	for m := range medias {
		f.Add(m, []byte(fuzzPod))
		f.Add(m, []byte("kind: Pod\napiVersion: v1\nmetadata: &m {name: p, labels: {<<: *m}}\n"))
		f.Add(m, []byte(`{"spec":{"containers":[{"resources":{"limits":{"cpu":"1e1000000000","memory":-1e99}}}],"activeDeadlineSeconds":9223372036854775808}}`))
	}
	var pod corev1.Pod
	if err := json.Unmarshal([]byte(fuzzPod), &pod); err != nil {
		f.Fatal(err)
	}
	whole, _, err := envelope(corev1.SchemeGroupVersion.WithKind("Pod"), &pod)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(2, whole)
	cbor, err := encodeCBOR(&pod)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(3, cbor)
	b := besiege(f)
	f.Fuzz(func(t *testing.T, m int, body []byte) {
		media := medias[uint(m)%uint(len(medias))]
		b.answered(t, "POST", "/api/v1/namespaces/default/pods?dryRun=All", media, nil, body)
		b.answered(t, "DELETE", "/api/v1/namespaces/default/pods/none", media, nil, body)
		b.answered(t, "POST", "/api/v1/namespaces/default/pods/none/eviction", media, nil, body)
	})
}

// Parameters of lists and watches, continue tokens among them, and what is accepted.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"labelSelector=a+in+(b,c),!d", "labelSelector=a%3E1", "fieldSelector=metadata.name%3Dx,spec.nodeName!%3Dy", "fieldSelector=a\\,b%3D", "limit=1&continue=e30",
		"limit=-1", "resourceVersion=1&resourceVersionMatch=Exact", "watch=1&timeoutSeconds=9223372036854775807", "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
		"continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0", "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiLi4vYSJ9"} {
		f.Add(q, "application/json;as=Table;v=v1;g=meta.k8s.io;q=0.5,*/*;q=NaN")
	}
	f.Add("", "application/vnd.kubernetes.protobuf;type=watch, application/cbor-seq;q=1e999;;;=")
	f.Add("pretty=1", "text/plain;q=-1,application/yaml; as=PartialObjectMetadataList; g=meta.k8s.io; v=v1")
	b := besiege(f)
	for _, n := range []string{"x", "y"} {
		b.do("POST", configMaps, mediaJSON, `{"metadata":{"name":"`+n+`"}}`)
	}
	f.Fuzz(func(t *testing.T, query, accept string) {
		q, err := url.ParseQuery(query)
		// Revisions of the future are waited for; that is not what this looks for.
		if err != nil || len(q.Get("resourceVersion")) > 2 || wantsWatch(q) {
			return
		}
		for _, path := range []string{configMaps, configMaps + "/x", "/apis"} {
			r := httptest.NewRequest("GET", path, nil)
			r.URL.RawQuery = query
			r.Header.Set("Accept", accept)
			w := httptest.NewRecorder()
			b.ServeHTTP(w, asMasters(r))
			if w.Code >= 500 && w.Code != 504 {
				t.Fatalf("%s?%s %q: %d %s", path, query, accept, w.Code, w.Body)
			}
		}
		q.Set("watch", "true")
		parseListOptions(all.For[*corev1.Pod](), "default", "", q)
	})
}

// A stored value is read, or refused; what was read is written as something that
// is read as the same.
func FuzzStored(f *testing.F) {
	rows := []*api.Resource{all.For[*corev1.Pod](), all.For[*corev1.Secret](), all.For[*corev1.Service](), all.For[*corev1.Node](), all.For[*appsv1.Deployment](), all.For[*corev1.Event]()}
	for n, r := range all.Rows {
		m, ok := any(r.New()).(protoMessage)
		if !ok {
			continue
		}
		if b, _, err := envelope(r.GVK, m); err == nil {
			f.Add(n, b)
		}
	}
	var pod corev1.Pod
	if err := json.Unmarshal([]byte(fuzzPod), &pod); err != nil {
		f.Fatal(err)
	}
	whole, _, err := envelope(corev1.SchemeGroupVersion.WithKind("Pod"), &pod)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, whole)
	f.Add(1, []byte(`{"metadata":{"name":"x"},"data":{"a":"YQ=="}}`))
	f.Add(0, []byte("k8s\x00\n\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, n int, value []byte) {
		r := rows[uint(n)%uint(len(rows))]
		if uint(n) >= uint(len(rows)) {
			r = all.Rows[uint(n)%uint(len(all.Rows))]
		}
		if _, ok := any(r.New()).(protoMessage); !ok {
			return
		}
		o, _, err := decodeStored(r, value)
		if err != nil {
			return
		}
		once, err := newEntry(r, "k", o)
		if err != nil {
			return
		}
		o, _, err = decodeStored(r, once.value)
		if err != nil {
			t.Fatalf("%s: written but not read: %v", r.GVR.Resource, err)
		}
		twice, err := newEntry(r, "k", o)
		if err != nil || !bytes.Equal(once.value, twice.value) {
			t.Fatalf("%s: %q is read as something else: %q, %v", r.GVR.Resource, once.value, twice.value, err)
		}
		if _, err := readEntry(r, "k", value, 7); err != nil {
			t.Fatal(err)
		}
	})
}

// One patch, whatever it is, against the kinds of every shape, without a server.
func FuzzPatcher(f *testing.F) {
	f.Add(0, []byte(`[{"op":"copy","from":"/metadata","path":"/metadata/x"}]`))
	f.Add(1, []byte(`{"spec":{"ports":[{"port":1,"$patch":"delete"}]}}`))
	f.Add(2, []byte(`{"$setElementOrder/subsets":[{"a":1}],"subsets":[{"addresses":[{"ip":"x"}]}]}`))
	docs := map[string]*api.Resource{
		`{"metadata":{"name":"a","ownerReferences":[{"uid":"u"}]},"spec":{"ports":[{"port":1,"protocol":"TCP"}],"externalIPs":["a"]}}`:                   all.For[*corev1.Service](),
		`{"metadata":{"name":"a","finalizers":["a"]},"spec":{"taints":[{"key":"k"}]},"status":{"conditions":[{"type":"t"}],"images":[{"names":["a"]}]}}`: all.For[*corev1.Node](),
	}
	f.Fuzz(func(t *testing.T, kind int, patch []byte) {
		pt := []types.PatchType{types.JSONPatchType, types.MergePatchType, types.StrategicMergePatchType}[uint(kind)%3]
		for doc, r := range docs {
			apply, err := patcher(pt, patch, r.GVK, r.New())
			if err != nil {
				continue
			}
			if out, err := apply([]byte(doc)); err == nil && len(out) > 4*maxBody {
				t.Fatalf("%d bytes of patch made %d", len(patch), len(out))
			}
		}
	})
}
