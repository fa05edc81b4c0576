package apiserver

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/skiff-k8s/skiff/internal/api"
	definitions "github.com/skiff-k8s/skiff/internal/api/schema"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

func openAPIServer(t testing.TB) *Server {
	t.Helper()
	st := mem.New()
	s, err := New(context.Background(), Options{Store: st, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return s
}

// widgets is a kind learned at run time.
var widgets = &api.Resource{GVK: schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"},
	GVR: schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}, Namespaced: true, Verbs: api.AllVerbs,
	NewList: func() apiruntime.Object {
		l := &unstructured.UnstructuredList{}
		l.SetGroupVersionKind(schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "WidgetList"})
		return l
	},
	Custom: &api.Custom{Schema: func() []byte {
		return []byte(`{"properties":{"spec":{"type":"object","properties":{
		"size":{"type":"integer","minimum":1,"maximum":9.5,"default":3},"port":{"x-kubernetes-int-or-string":true,"anyOf":[{"type":"integer"},{"type":"string"}]},
		"any":{"type":"object","x-kubernetes-preserve-unknown-fields":true,"properties":{"a":{"type":"string"}}},
		"maybe":{"type":"string","nullable":true,"enum":["a","b"],"pattern":"^[ab]$","maxLength":1},"not":{"not":{"type":"string"}}}}}}`)
	}},
}

// serve adds rows to those that are served.
func serve(s *Server, rows ...*api.Resource) {
	k := *s.kinds.Load()
	k.rows = append(slices.Clone(k.rows), rows...)
	s.kinds.Store(&k)
	s.discovery.forget()
	s.openapi.forget()
}

var refPattern = regexp.MustCompile(`"\$ref":"([^"]*)"`)

// checkRefs finds references that lead nowhere.
func checkRefs(t *testing.T, at string, doc []byte) {
	t.Helper()
	var tree any
	if err := json.Unmarshal(doc, &tree); err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	seen := map[string]bool{}
	for _, m := range refPattern.FindAllSubmatch(doc, -1) {
		ref := string(m[1])
		if seen[ref] {
			continue
		}
		seen[ref] = true
		v := tree
		for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			v, _ = v.(map[string]any)[part]
		}
		if v == nil {
			t.Errorf("%s: %s leads nowhere", at, ref)
		}
	}
}

// TestOpenAPIV3 reads every document with the library, in both forms, follows
// every reference, and finds every kind of the table.
func TestOpenAPIV3(t *testing.T) {
	s := openAPIServer(t)
	serve(s, widgets)
	kinds, ids := map[string]bool{}, map[string]string{}
	for _, at := range s.openapi.paths(s) {
		b, err := s.openapi.document(s, at, false)
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		checkRefs(t, at, b)
		var doc spec3.OpenAPI
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		for _, schema := range doc.Components.Schemas {
			gvks, _ := schema.Extensions["x-kubernetes-group-version-kind"].([]any)
			for _, g := range gvks {
				m := g.(map[string]any)
				kinds[m["group"].(string)+"/"+m["version"].(string)+"/"+m["kind"].(string)] = true
			}
		}
		for path, item := range doc.Paths.Paths {
			for _, o := range []*spec3.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch, item.Head, item.Options} {
				if o == nil {
					continue
				}
				if other := ids[o.OperationId]; other != "" {
					t.Errorf("%s of %s is the operation of %s as well", o.OperationId, path, other)
				}
				ids[o.OperationId] = path
			}
		}
		checkProtoV3(t, s, at, b)
	}
	groups, versions := s.groupVersions()
	for _, g := range groups {
		for _, v := range versions[g] {
			for _, r := range s.servedIn(schema.GroupVersion{Group: g, Version: v}) {
				if id := g + "/" + v + "/" + r.gvk.Kind; !kinds[id] {
					t.Errorf("%s has no schema", id)
				}
				if r.model() == "" || slices.Contains(r.Verbs, "list") && r.listModel() == "" {
					t.Errorf("%s has no model", r.gvk)
				}
			}
		}
	}
	for _, id := range []string{"listCoreV1NamespacedPod", "listCoreV1PodForAllNamespaces", "createAppsV1NamespacedDeployment", "replaceAppsV1NamespacedDeploymentStatus",
		"readCoreV1NamespacedPodLog", "connectCoreV1GetNamespacedPodExec", "connectCoreV1HeadNodeProxyWithPath", "createCoreV1NamespacedPodBinding", "createCoreV1NamespacedServiceAccountToken",
		"deleteRbacAuthorizationV1CollectionNamespacedRole", "patchCoreV1Node", "watchCoreV1NamespacedPodList", "getFlowcontrolApiserverAPIGroup", "patchAppsV1NamespacedDeploymentScale"} {
		if ids[id] == "" {
			t.Errorf("no operation %s", id)
		}
	}
}

// checkProtoV3 holds our protobuf against what the library makes of the JSON.
func checkProtoV3(t *testing.T, s *Server, at string, text []byte) {
	t.Helper()
	b, err := s.openapi.document(s, at, true)
	if err != nil {
		t.Fatal(err)
	}
	var got openapi_v3.Document
	if err := proto.Unmarshal(b, &got); err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	// The library takes its time for large documents, and keeps their order.
	if len(text) > 100<<10 && !strings.Contains(at, "example.com") {
		return
	}
	var tree any
	json.Unmarshal(text, &tree)
	text, _ = json.Marshal(tree)
	want, err := openapi_v3.ParseDocument(text)
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	a, _ := json.Marshal(want)
	c, _ := json.Marshal(&got)
	if plainYAML(a) != plainYAML(c) {
		t.Errorf("%s: protobuf differs:\n%s", at, firstDifference(plainYAML(c), plainYAML(a)))
	}
}

var yamlPattern = regexp.MustCompile(`"yaml":"(?:[^"\\]|\\.)*"`)

// plainYAML leaves out what is YAML there and JSON here, and null for empty.
func plainYAML(b []byte) string { return yamlPattern.ReplaceAllString(string(b), `"yaml":""`) }

func firstDifference(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from := max(0, i-200)
	return "ours   " + a[from:min(len(a), i+200)] + "\ntheirs " + b[from:min(len(b), i+200)]
}

// TestOpenAPIV2 reads the document with the library and holds the protobuf against it.
func TestOpenAPIV2(t *testing.T) {
	s := openAPIServer(t)
	serve(s, widgets)
	text, err := s.openapi.document(s, documentV2Path, false)
	if err != nil {
		t.Fatal(err)
	}
	checkRefs(t, "v2", text)
	if strings.Contains(string(text), definitions.Refs) {
		t.Error("there are references of v3")
	}
	var sw spec.Swagger
	if err := json.Unmarshal(text, &sw); err != nil {
		t.Fatal(err)
	}
	for name, d := range sw.Definitions {
		for field, p := range d.Properties {
			if p.Default != nil || p.OneOf != nil || p.AllOf != nil {
				t.Errorf("%s.%s: %v", name, field, p)
			}
		}
	}
	for name, want := range map[string][2]string{"io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"string", "int-or-string"}, "io.k8s.apimachinery.pkg.api.resource.Quantity": {"string", ""}} {
		if d := sw.Definitions[name]; !d.Type.Contains(want[0]) || d.Format != want[1] {
			t.Errorf("%s is %v %q", name, d.Type, d.Format)
		}
	}
	b, err := s.openapi.document(s, documentV2Path, true)
	if err != nil {
		t.Fatal(err)
	}
	var pb openapi_v2.Document
	if err := proto.Unmarshal(b, &pb); err != nil {
		t.Fatal(err)
	}
	var again spec.Swagger
	if ok, err := again.FromGnostic(&pb); err != nil || !ok {
		t.Fatal(ok, err)
	}
	a, _ := json.Marshal(&sw)
	c, _ := json.Marshal(&again)
	if string(a) != string(c) {
		t.Error("protobuf differs:\n" + firstDifference(string(c), string(a)))
	}
}

// TestOpenAPIParameters: what kubectl looks for to know what a server can do.
func TestOpenAPIParameters(t *testing.T) {
	s := openAPIServer(t)
	text, err := s.openapi.document(s, documentV2Path, false)
	if err != nil {
		t.Fatal(err)
	}
	var sw spec.Swagger
	if err := json.Unmarshal(text, &sw); err != nil {
		t.Fatal(err)
	}
	found := 0
	for path, item := range sw.Paths.Paths {
		if item.Patch == nil || item.Patch.Extensions["x-kubernetes-action"] == "connect" {
			continue
		}
		for _, name := range []string{"dryRun", "fieldValidation"} {
			if !slices.ContainsFunc(item.Patch.Parameters, func(p spec.Parameter) bool { return p.Name == name && p.In == "query" }) {
				t.Errorf("PATCH %s tells nothing of %s", path, name)
			}
			found++
		}
	}
	if found == 0 {
		t.Error("no patches")
	}
}

// TestEveryPropertyIsDescribed compares the schemas with the Go types that are served.
func TestEveryPropertyIsDescribed(t *testing.T) {
	s := openAPIServer(t)
	d, err := definitions.Unpack()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[reflect.Type]bool{}
	var visit func(typ reflect.Type)
	visit = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		name := modelOf(typ)
		if name == "" {
			return
		}
		var schema struct {
			Description string
			Type        string
			Properties  map[string]struct {
				Description, Type string
				Ref               string `json:"$ref"`
				AllOf             []any
			}
		}
		if err := json.Unmarshal(d.JSON(name), &schema); err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if schema.Properties == nil {
			return // a type with a form of its own: a time, a quantity, raw JSON
		}
		var fields func(reflect.Type)
		fields = func(typ reflect.Type) {
			for i := range typ.NumField() {
				f := typ.Field(i)
				tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
				switch {
				case tag == "-" || !f.IsExported():
				case tag == "" && (f.Anonymous || strings.Contains(options, "inline")):
					fields(f.Type)
				default:
					if p, ok := schema.Properties[tag]; !ok {
						t.Errorf("%s.%s is not described", name, tag)
					} else if p.Description == "" && p.Type == "" && p.AllOf == nil && p.Ref == "" {
						t.Errorf("nothing is said of %s.%s", name, tag)
					}
					visit(f.Type)
				}
			}
		}
		fields(typ)
	}
	for _, r := range s.kinds.Load().rows {
		visit(r.Type)
		for _, v := range r.Versions {
			visit(v.Type)
		}
	}
	if len(seen) < 500 {
		t.Errorf("only %d types seen", len(seen))
	}
}

func openAPIGet(s *Server, url string, header ...string) *httptest.ResponseRecorder {
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

// TestOpenAPIForgets: an idle server holds hashes, and makes the same document again.
func TestOpenAPIForgets(t *testing.T) {
	s := openAPIServer(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { openAPIGet(s, "/openapi/v3") })
	}
	group.Wait()
	first := openAPIGet(s, "/openapi/v3/apis/apps/v1")
	for k, p := range s.openapi.recent {
		for end := time.Now().Add(time.Minute); p.Value() != nil; runtime.GC() {
			if time.Now().After(end) {
				t.Fatalf("%v is kept", k)
			}
		}
	}
	again := openAPIGet(s, "/openapi/v3/apis/apps/v1")
	if again.Body.String() != first.Body.String() || again.Header().Get("Etag") != first.Header().Get("Etag") {
		t.Error("the second document is another")
	}
	serve(s, widgets)
	if len(s.openapi.hashes) != 0 {
		t.Error("hashes outlive a change of what is served")
	}
}

func TestOpenAPIForms(t *testing.T) {
	for accept, want := range map[string]string{
		"":         "application/json",
		"*/*":      "application/json",
		"text/xml": "",
		"application/com.github.proto-openapi.spec.v2@v1.0+protobuf":                         "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
		"application/json;q=0.5, application/com.github.proto-openapi.spec.v2.v1.0+protobuf": "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
		"application/com.github.proto-openapi.spec.v3@v1.0+protobuf, application/*;q=0.1":    "application/json",
	} {
		r := httptest.NewRequest("GET", "/openapi/v2", nil)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		form, err := chooseForm(r, formsV2)
		if form.given != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", accept, form.given, err)
		}
	}
	if w := openAPIGet(openAPIServer(t), "/openapi/v2", "Accept", "text/html"); w.Code != http.StatusNotAcceptable {
		t.Errorf("v2 as HTML: %d", w.Code)
	}
}

func BenchmarkOpenAPI(b *testing.B) {
	for name, at := range map[string]string{"core": "api/v1", "apps": "apis/apps/v1", "v2": documentV2Path} {
		for form, proto := range map[string]bool{"json": false, "proto": true} {
			b.Run(name+"/"+form, func(b *testing.B) {
				s := openAPIServer(b)
				b.ReportAllocs()
				for b.Loop() {
					s.openapi.forget()
					if _, err := s.openapi.document(s, at, proto); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	b.Run("index", func(b *testing.B) {
		s := openAPIServer(b)
		b.ReportAllocs()
		for b.Loop() {
			s.openapi.forget()
			if _, _, err := s.openapi.all(s); err != nil {
				b.Fatal(err)
			}
		}
	})
}
