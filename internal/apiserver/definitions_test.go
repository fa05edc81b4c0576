package apiserver

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/disk"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

// gone wants a watch that ends without another event.
func (w *watching) gone() {
	w.t.Helper()
	if line := w.next(); line != "" {
		w.t.Errorf("the watch did not end: %s", line)
	}
}

// patchDefinition changes the definition of the given kind; its rows are others when it returns.
func (s *customServer) patchDefinition(plural, patch string) {
	s.t.Helper()
	s.want(200, "PATCH", definitionsPath+"/"+plural+".example.com", patch)
}

// A schema that changes ends the watches; who comes back sees what the new schema makes of what is stored.
func TestSchemaChanges(t *testing.T) {
	s := startCustom(t, mem.New())
	s.define(definitionOf("boxes", "", versionOf("v1", true, `"size":{"type":"integer"},"color":{"type":"string"}`)))
	web := httptest.NewServer(asMaster(s.Server))
	t.Cleanup(web.Close)
	rv := pickVersion(s.want(201, "POST", pathOf("v1", "boxes")+"?fieldManager=me", objectOf("v1", "boxes", "a", `{"size":3,"color":"red"}`)))
	w := s.watchOver(web, pathOf("v1", "boxes")+"?watch=1&resourceVersion="+rv)
	s.patchDefinition("boxes", `[{"op":"replace","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties","value":{"size":{"type":"integer","maximum":5},"shape":{"type":"string","default":"round"}}}]`)
	w.gone()
	s.want(200, "GET", pathOf("v1", "boxes"), "", `"spec":{"shape":"round","size":3}`)
	s.want(200, "GET", pathOf("v1", "boxes", "a"), "", `"spec":{"shape":"round","size":3}`, `f:color`)
	w = s.watchOver(web, pathOf("v1", "boxes")+"?watch=1&resourceVersion="+rv)
	s.want(422, "PATCH", pathOf("v1", "boxes", "a"), `{"spec":{"size":6}}`, "should be less than or equal to 5")
	s.want(200, "PATCH", pathOf("v1", "boxes", "a")+"?fieldManager=you", `{"spec":{"size":4}}`, `"shape":"round"`, `"manager":"you"`, `!"color"`)
	w.want(`"MODIFIED"`, `"spec":{"shape":"round","size":4}`)
	s.want(200, "PATCH", pathOf("v1", "boxes", "a")+"?fieldManager=they", "apiVersion: example.com/v1\nkind: Boxes\nspec: {shape: flat}\n", `"shape":"flat"`)
	w.want(`"MODIFIED"`, `"shape":"flat"`)
	// What a schema forbids by now stays as long as nobody touches it.
	s.patchDefinition("boxes", `[{"op":"replace","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size/maximum","value":1}]`)
	w.gone()
	s.want(200, "PATCH", pathOf("v1", "boxes", "a"), `{"spec":{"shape":"long"}}`, `"size":4`)
	s.want(422, "PATCH", pathOf("v1", "boxes", "a"), `{"spec":{"size":3}}`)
	// What changes nothing of the kind ends no watch.
	w = s.watchOver(web, pathOf("v1", "boxes")+"?watch=1")
	w.want(`"ADDED"`)
	s.patchDefinition("boxes", `{"metadata":{"labels":{"a":"b"}}}`)
	s.want(200, "DELETE", pathOf("v1", "boxes", "a"), "")
	w.want(`"DELETED"`)
	// However often a kind is made anew, it is counted as one.
	seen := map[string]bool{}
	for line := range strings.Lines(s.want(200, "GET", "/metrics", "", `resource="boxes"`)) {
		series, _, _ := strings.Cut(line, "} ")
		if strings.Contains(series, "boxes") && seen[series] {
			t.Errorf("twice: %s", series)
		}
		seen[series] = true
	}
}

func TestVersionsComeAndGo(t *testing.T) {
	s := startCustom(t, mem.New())
	s.define(definitionOf("boxes", "", versionOf("v1", true, sizes)))
	s.want(201, "POST", pathOf("v1", "boxes"), objectOf("v1", "boxes", "a", `{"size":3,"color":"red"}`))
	s.want(404, "GET", pathOf("v2", "boxes"), "", "404 page not found")
	s.patchDefinition("boxes", `[{"op":"add","path":"/spec/versions/-","value":`+versionOf("v2", false, `"size":{"type":"integer"},"weight":{"type":"integer"}`)+`}]`)
	s.want(200, "GET", pathOf("v2", "boxes", "a"), "", `"apiVersion":"example.com/v2"`, `"spec":{"size":3}`)
	// What the stored version does not know is lost when it is written, not later.
	s.want(201, "POST", pathOf("v2", "boxes"), objectOf("v2", "boxes", "b", `{"weight":3}`), `"spec":{"size":1}`)
	s.want(200, "GET", pathOf("v2", "boxes", "b"), "", `!"weight":3`)
	s.want(200, "GET", "/apis/example.com", "", `"preferredVersion":{"groupVersion":"example.com/v2"`)

	s.patchDefinition("boxes", `[{"op":"replace","path":"/spec/versions/1/storage","value":true},{"op":"replace","path":"/spec/versions/0/storage","value":false}]`)
	s.await("boxes.example.com", func(crd *apiextensionsv1.CustomResourceDefinition) bool {
		return strings.Join(crd.Status.StoredVersions, ",") == "v1,v2"
	})
	s.want(201, "POST", pathOf("v1", "boxes"), objectOf("v1", "boxes", "c", `{"color":"red"}`), `!"color":"red"`)
	if got := s.stored("boxes", "c"); !strings.Contains(got, `"apiVersion":"example.com/v2","kind"`) {
		t.Error(got)
	}
	s.want(200, "GET", pathOf("v1", "boxes", "a"), "", `"color":"red"`) // as it is stored in v1
	// A version that is not served is gone for clients, and what is stored in it is there.
	s.patchDefinition("boxes", `[{"op":"replace","path":"/spec/versions/0/served","value":false}]`)
	s.want(404, "GET", pathOf("v1", "boxes", "a"), "")
	s.want(200, "GET", pathOf("v2", "boxes", "a"), "", `"size":3`)
	// compat: a version in which there may be objects is not taken away.
	s.want(422, "PATCH", definitionsPath+"/boxes.example.com", `[{"op":"remove","path":"/spec/versions/0"}]`, `status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions`)
	s.want(200, "PATCH", definitionsPath+"/boxes.example.com/status", `{"status":{"storedVersions":["v2"]}}`)
	s.patchDefinition("boxes", `[{"op":"remove","path":"/spec/versions/0"}]`)
	s.want(200, "GET", pathOf("v2", "boxes", "a"), "", `"apiVersion":"example.com/v2"`, `"size":3`)
	s.want(200, "GET", pathOf("v2", "boxes"), "", `"name":"c"`)
	s.want(200, "PATCH", pathOf("v2", "boxes", "a"), `{"spec":{"weight":9}}`, `"size":3`, `"weight":9`)
	s.want(404, "GET", "/apis/example.com/v1", "")
}

func TestNamesChange(t *testing.T) {
	s := startCustom(t, mem.New())
	s.define(definitionOf("boxes", "", versionOf("v1", true, sizes)))
	s.define(definitionOf("crates", "", versionOf("v1", true, sizes)))
	s.want(201, "POST", pathOf("v1", "boxes"), objectOf("v1", "boxes", "a", `{}`))
	// Names that are taken: it keeps those that it has.
	s.patchDefinition("boxes", `{"spec":{"names":{"listKind":"CratesList","singular":"crates","shortNames":["bx"]}}}`)
	s.await("boxes.example.com", func(crd *apiextensionsv1.CustomResourceDefinition) bool {
		return condition(crd, apiextensionsv1.NamesAccepted) == "False ListKindConflict" && condition(crd, apiextensionsv1.Established) == "True InitialNamesAccepted"
	})
	s.want(200, "GET", pathOf("v1", "boxes", "a"), "", `"kind":"Boxes"`)
	s.want(201, "POST", pathOf("v1", "boxes"), objectOf("v1", "boxes", "b", `{}`), `"kind":"Boxes"`)
	s.want(200, "GET", "/apis/example.com/v1", "", `"shortNames":["bx"]`, `"kind":"Boxes"`)
	s.patchDefinition("boxes", `{"spec":{"names":{"listKind":"ManyBoxes","singular":"box","categories":["all"]}}}`)
	s.await("boxes.example.com", func(crd *apiextensionsv1.CustomResourceDefinition) bool {
		return crd.Status.AcceptedNames.Singular == "box" && condition(crd, apiextensionsv1.NamesAccepted) == "True NoConflicts"
	})
	s.want(200, "GET", pathOf("v1", "boxes"), "", `"kind":"ManyBoxes"`, `"kind":"Boxes"`)
	s.want(200, "GET", "/openapi/v3/apis/example.com/v1", "", `"com.example.v1.ManyBoxes":{`, `/com.example.v1.ManyBoxes"`, `"kind":"ManyBoxes"`)
	s.want(200, "GET", "/apis/example.com/v1", "", `"singularName":"box"`, `"categories":["all"]`)
	s.want(422, "PATCH", definitionsPath+"/boxes.example.com", `{"spec":{"names":{"kind":"Case"}}}`, "spec.names.kind: Invalid value: \\\"Case\\\": field is immutable")
}

func condition(crd *apiextensionsv1.CustomResourceDefinition, kind apiextensionsv1.CustomResourceDefinitionConditionType) string {
	for _, c := range crd.Status.Conditions {
		if c.Type == kind {
			return string(c.Status) + " " + c.Reason
		}
	}
	return ""
}

// A kind that was of namespaces comes back as one of the cluster. Who holds on to what was, does no harm.
func TestScopeMadeAnew(t *testing.T) {
	s := startCustom(t, mem.New())
	definition := definitionOf("boxes", "", versionOf("v1", true, sizes))
	s.define(definition)
	was := s.rowOf("v1", "boxes")
	s.want(201, "POST", pathOf("v1", "boxes"), objectOf("v1", "boxes", "a", `{}`))
	s.want(200, "DELETE", definitionsPath+"/boxes.example.com", "")
	s.await("boxes.example.com", func(crd *apiextensionsv1.CustomResourceDefinition) bool { return crd == nil })
	s.want(404, "GET", pathOf("v1", "boxes", "a"), "")
	s.define(strings.Replace(definition, "Namespaced", "Cluster", 1))
	s.want(404, "GET", pathOf("v1", "boxes"), "")
	s.want(404, "POST", pathOf("v1", "boxes"), objectOf("v1", "boxes", "a", `{}`))
	s.want(201, "POST", "/apis/example.com/v1/boxes", objectOf("v1", "boxes", "a", `{}`))
	l := s.Client(auth.System)
	o := was.New()
	o.SetName("stray")
	o.SetNamespace("default")
	if o, err := l.Create(t.Context(), was, o); !apierrors.IsNotFound(err) {
		t.Errorf("%v %v", o, err)
	}
	if objects, _, err := l.List(t.Context(), was, "default", client.Selector{}); err == nil {
		t.Errorf("%v", objects)
	}
	s.want(200, "GET", "/apis/example.com/v1/boxes", "", `"name":"a"`, `!stray`)
}

// Two hundred definitions, as large as real ones are, at once.
func TestManyDefinitions(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	s := startCustom(t, mem.New())
	var properties strings.Builder
	for i := range 150 {
		fmt.Fprintf(&properties, `"field%d":{"type":"string","description":"What is said about field %d goes on and on for a while, as it does."},`, i, i)
	}
	began := time.Now()
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := worker; i < 200; i += 4 {
				if code, body := s.ask("POST", definitionsPath, definitionOf(fmt.Sprintf("kind%d", i), "", versionOf("v1", true, properties.String()+sizes))); code != 201 {
					t.Errorf("%d %.200s", code, body)
				}
			}
		})
	}
	all.Wait()
	for i := range 200 {
		s.await(fmt.Sprintf("kind%d.example.com", i), func(crd *apiextensionsv1.CustomResourceDefinition) bool { return crd != nil && established(crd) })
	}
	t.Logf("200 definitions in %v", time.Since(began))
	for i := range 200 {
		plural := fmt.Sprintf("kind%d", i)
		s.want(201, "POST", pathOf("v1", plural), objectOf("v1", plural, "a", `{"field7":"x"}`), `"size":1`)
	}
}

// A definition is deleted and made anew while many use its objects: nothing panics, everybody gets an
// answer that can be, and there is never an object without a definition.
func TestDefinitionComesAndGoes(t *testing.T) {
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	s := startCustom(t, mem.New())
	web := httptest.NewServer(asMaster(s.Server))
	t.Cleanup(web.Close)
	definition := definitionOf("boxes", "", versionOf("v1", true, sizes), versionOf("v2", false, sizes))
	s.define(definition)
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var made atomic.Int64
	allowed := map[string][]int{"POST": {201, 404, 405, 409}, "GET": {200, 404}, "PATCH": {200, 201, 404, 405, 409}, "DELETE": {200, 404, 405, 409}}
	turns := make(chan struct{}, 4) // or else who waits for a processor is what is measured
	ask := func(method, path, body string) int {
		turns <- struct{}{}
		defer func() { <-turns }()
		code, answer := s.ask(method, path, body)
		for _, c := range allowed[method] {
			if c == code {
				return code
			}
		}
		t.Errorf("%s %s: %d %s", method, path, code, answer)
		return code
	}
	for i := range 64 {
		version := fmt.Sprintf("v%d", i%2+1)
		name := fmt.Sprintf("b%d", i/4)
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				switch {
				case i%8 == 7:
					// A watch ends when its kind does; one that finds none is refused.
					timeout := fmt.Sprintf("?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=n!=%d", n)
					resp, err := web.Client().Get(web.URL + pathOf(version, "boxes") + timeout)
					if err != nil {
						t.Error(err)
						return
					}
					b := readAll(resp.Body)
					if resp.StatusCode != 200 && resp.StatusCode != 404 || strings.Contains(b, `"ERROR"`) {
						t.Errorf("watch: %d %.300s", resp.StatusCode, b)
					}
				case n%4 == 0:
					if ask("POST", pathOf(version, "boxes"), objectOf(version, "boxes", name, `{"size":2}`)) == 201 {
						made.Add(1)
					}
				case n%4 == 1:
					ask("GET", pathOf(version, "boxes"), "")
				case n%4 == 2:
					ask("PATCH", pathOf(version, "boxes", name)+"?fieldManager=m&force=true", fmt.Sprintf("apiVersion: example.com/%s\nkind: Boxes\nmetadata: {name: %s}\nspec: {size: %d}\n", version, name, n))
				case i%16 == 0:
					ask("DELETE", pathOf(version, "boxes", name), "")
				default:
					ask("GET", pathOf(version, "boxes", name), "")
				}
			}
		})
	}
	prefix := "/registry/example.com/boxes/"
	for range rounds {
		until := made.Load() + 10
		for made.Load() < until && !t.Failed() {
			s.ask("GET", pathOf("v1", "boxes"), "")
		}
		s.want(200, "DELETE", definitionsPath+"/boxes.example.com", "")
		s.await("boxes.example.com", func(crd *apiextensionsv1.CustomResourceDefinition) bool { return crd == nil })
		if page, err := s.Store.Range(ctx, prefix, store.PrefixEnd(prefix), 0, 0); err != nil || len(page.KVs) > 0 {
			t.Errorf("objects without a definition: %v %v", page.KVs, err)
		}
		s.define(definition)
	}
	cancel()
	clients.Wait()
	if err := s.feed.health(); err != nil {
		t.Error(err)
	}
	t.Logf("%d objects were made", made.Load())
}

// Custom kinds are there after a restart, on what store ever; what was under way goes on.
func TestCustomKindsAfterRestart(t *testing.T) {
	for _, kind := range []string{"mem", "disk"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			open := func() store.Store {
				if kind == "mem" {
					return mem.New()
				}
				st, err := disk.Open(dir, disk.Options{})
				if err != nil {
					t.Fatal(err)
				}
				return st
			}
			st, h := open(), newRenamer(t)
			again := func(s *customServer) *customServer {
				s.stop()
				if kind == "disk" {
					if err := st.Close(); err != nil {
						t.Fatal(err)
					}
					st = open()
				}
				return startCustom(t, st)
			}
			s := startCustom(t, st)
			s.define(definitionOf("crates", "", versionOf("v1", true, sizes), versionOf("v2", false, sizes)))
			s.define(h.boxes("v1"))
			s.want(201, "POST", pathOf("v2", "boxes"), objectOf("v2", "boxes", "a", `{"width":3}`))
			s.want(201, "POST", pathOf("v2", "crates"), objectOf("v2", "crates", "a", `{"size":3}`))
			s.want(200, "PATCH", pathOf("v2", "crates", "a"), `{"metadata":{"finalizers":["example.com/hold"]}}`)
			before := map[string]string{}
			for _, path := range []string{pathOf("v1", "boxes"), pathOf("v2", "boxes"), pathOf("v1", "crates"), pathOf("v2", "crates", "a"), definitionsPath, "/apis/example.com"} {
				before[path] = s.want(200, "GET", path, "")
			}
			s = again(s)
			for path, was := range before {
				if is := s.want(200, "GET", path, ""); is != was {
					t.Errorf("%s was\n%s\nis\n%s", path, was, is)
				}
			}
			// One that is being deleted goes on after that, too.
			s.want(200, "DELETE", definitionsPath+"/crates.example.com", "")
			s.await("crates.example.com", func(crd *apiextensionsv1.CustomResourceDefinition) bool {
				return strings.HasPrefix(condition(crd, apiextensionsv1.Terminating), "True")
			})
			s = again(s)
			s.awaitObject("crates", func(o api.Object) bool { return o.GetDeletionTimestamp() != nil })
			s.want(405, "POST", pathOf("v1", "crates"), objectOf("v1", "crates", "b", `{}`))
			s.want(200, "PATCH", pathOf("v1", "crates", "a"), `{"metadata":{"finalizers":null}}`)
			s.await("crates.example.com", func(crd *apiextensionsv1.CustomResourceDefinition) bool { return crd == nil })
			s.want(404, "GET", pathOf("v1", "crates"), "")
			s.want(200, "GET", pathOf("v2", "boxes", "a"), "", `"width":3`)
			s.stop()
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
