package apiserver

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"google.golang.org/protobuf/proto"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	definitions "github.com/skiff-k8s/skiff/internal/api/schema"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

func openAPIServer(t *testing.T) *Server {
	t.Helper()
	st := mem.New()
	s, err := New(context.Background(), Options{Store: st, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return s
}

// TestOpenAPIV3 reads every document with the library, follows every reference,
// and finds every kind of the table.
func TestOpenAPIV3(t *testing.T) {
	s := openAPIServer(t)
	d, err := definitions.Unpack()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	ids := map[string]string{}
	for _, at := range s.openAPIPaths() {
		b, err := s.openAPIDocument(d, at)
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		var doc spec3.OpenAPI
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		for _, ref := range strings.Split(string(b), `"$ref":"`)[1:] {
			name, _, _ := strings.Cut(strings.TrimPrefix(ref, definitions.Refs), `"`)
			if doc.Components.Schemas[name] == nil {
				t.Errorf("%s: %s is referred to and not there", at, name)
			}
		}
		for _, schema := range doc.Components.Schemas {
			gvks, _ := schema.Extensions["x-kubernetes-group-version-kind"].([]any)
			for _, g := range gvks {
				m := g.(map[string]any)
				kinds[m["group"].(string)+"/"+m["version"].(string)+"/"+m["kind"].(string)] = true
			}
		}
		for path, item := range doc.Paths.Paths {
			for _, o := range []*spec3.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
				if o == nil {
					continue
				}
				if other := ids[o.OperationId]; other != "" {
					t.Errorf("%s of %s is the operation of %s as well", o.OperationId, path, other)
				}
				ids[o.OperationId] = path
			}
		}
	}
	for _, r := range s.rows {
		if id := r.GVK.Group + "/" + r.GVK.Version + "/" + r.GVK.Kind; !kinds[id] {
			t.Errorf("%s has no schema", id)
		}
	}
	for _, id := range []string{"listCoreV1NamespacedPod", "listCoreV1PodForAllNamespaces", "createAppsV1NamespacedDeployment", "replaceAppsV1NamespacedDeploymentStatus",
		"readCoreV1NamespacedPodLog", "connectCoreV1GetNamespacedPodExec", "createCoreV1NamespacedPodBinding", "deleteRbacAuthorizationV1CollectionNamespacedRole", "patchCoreV1Node"} {
		if ids[id] == "" {
			t.Errorf("no operation %s", id)
		}
	}
}

// TestOpenAPIV2 compares the two forms, each read by the library.
func TestOpenAPIV2(t *testing.T) {
	s := openAPIServer(t)
	doc, err := s.documentV2()
	if err != nil {
		t.Fatal(err)
	}
	whole, _ := json.Marshal(doc)
	var sw spec.Swagger
	if err := json.Unmarshal(whole, &sw); err != nil {
		t.Fatal(err)
	}
	var pb openapi_v2.Document
	if err := proto.Unmarshal(protoDocument(doc), &pb); err != nil {
		t.Fatal(err)
	}
	var again spec.Swagger
	if ok, err := again.FromGnostic(&pb); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if len(again.Definitions) != len(sw.Definitions) || len(again.Paths.Paths) != len(sw.Paths.Paths) {
		t.Fatalf("%d definitions and %d paths, in protobuf %d and %d", len(sw.Definitions), len(sw.Paths.Paths), len(again.Definitions), len(again.Paths.Paths))
	}
	for name, want := range sw.Definitions {
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(again.Definitions[name])
		if string(a) != string(b) {
			t.Errorf("%s:\n%s\nin protobuf\n%s", name, a, b)
		}
	}
	for path, want := range sw.Paths.Paths {
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(again.Paths.Paths[path])
		if string(a) != string(b) {
			t.Errorf("%s:\n%s\nin protobuf\n%s", path, a, b)
		}
	}
	for _, ref := range strings.Split(string(whole), `"$ref":"`)[1:] {
		name, _, _ := strings.Cut(strings.TrimPrefix(ref, "#/definitions/"), `"`)
		if _, ok := sw.Definitions[name]; !ok {
			t.Errorf("%s is referred to and not there", name)
		}
	}
}

func TestOpenAPIServing(t *testing.T) {
	s := openAPIServer(t)
	get := func(url string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", url, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		x := &exchange{info: parseInfo(r), accept: accepted{media: mediaJSON}}
		if err := s.serveOpenAPI(w, r, x, r.URL.Path); err != nil {
			s.writeError(w, r, x, err)
		}
		return w
	}
	var index struct {
		Paths map[string]struct{ ServerRelativeURL string }
	}
	if err := json.Unmarshal(get("/openapi/v3").Body.Bytes(), &index); err != nil {
		t.Fatal(err)
	}
	url := index.Paths["apis/apps/v1"].ServerRelativeURL
	w := get(url)
	if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%s: %d %v", url, w.Code, w.Header())
	}
	if w := get("/openapi/v3/apis/apps/v1", "If-None-Match", w.Header().Get("Etag")); w.Code != http.StatusNotModified {
		t.Errorf("the same document is sent again: %d", w.Code)
	}
	if w := get("/openapi/v3/apis/apps/v1?hash=OLD"); w.Code != http.StatusMovedPermanently || w.Header().Get("Location") != url {
		t.Errorf("an old hash leads to %d %s", w.Code, w.Header().Get("Location"))
	}
	if w := get("/openapi/v3/apis/none/v1"); w.Code != 404 {
		t.Errorf("a group that is not there: %d", w.Code)
	}
	if w := get("/openapi/v2", "Accept", mediaV2Asked); w.Code != 200 || w.Header().Get("Content-Type") != mediaV2 {
		t.Errorf("v2 in protobuf: %d %v", w.Code, w.Header())
	}
	if w := get("/openapi/v2", "Accept", "text/html"); w.Code != 406 {
		t.Errorf("v2 as HTML: %d", w.Code)
	}
}
