package aggregate

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

const backendV2 = `{"swagger":"2.0","info":{"title":"metrics","version":"1"},"paths":{
 "/apis/metrics.example.com/v1beta1/":{"get":{"produces":["application/json"],"responses":{"200":{"description":"OK","schema":{"$ref":"#/definitions/APIResourceList"}}}}},
 "/apis/metrics.example.com/v1beta1/pods":{"parameters":[{"$ref":"#/parameters/limit"}],"post":{"consumes":["*/*"],"produces":["application/json","application/yaml"],
   "parameters":[{"name":"body","in":"body","required":true,"schema":{"$ref":"#/definitions/Pod"}},{"name":"dryRun","in":"query","type":"string","uniqueItems":true}],
   "responses":{"201":{"description":"Created","schema":{"$ref":"#/definitions/Pod"}},"401":{"description":"Unauthorized"}}}},
 "/apis/other.example.com/v1/things":{"get":{"responses":{"200":{"schema":{"$ref":"#/definitions/Thing"}}}}},
 "/version/":{"get":{"responses":{"200":{"schema":{"$ref":"#/definitions/Info"}}}}}},
 "definitions":{
 "Pod":{"type":"object","properties":{"metadata":{"$ref":"#/definitions/ObjectMeta"},"usage":{"$ref":"#/definitions/Usage"}},"x-kubernetes-group-version-kind":[{"group":"metrics.example.com","kind":"Pod","version":"v1beta1"}]},
 "ObjectMeta":{"type":"object","properties":{"name":{"type":"string"},"max":{"type":"integer","maximum":12345678901234567890}}},
 "Usage":{"type":"object","description":"a <b>"},
 "APIResourceList":{"type":"object","x-kubernetes-group-version-kind":[{"group":"","kind":"APIResourceList","version":"v1"}]},
 "Thing":{"type":"object"},"Info":{"type":"object"}},
 "parameters":{"limit":{"name":"limit","in":"query","type":"integer","uniqueItems":true},"unused":{"name":"u","in":"query","type":"string"}}}`

// What the server has: ObjectMeta means the same, Usage does not, and neither does the parameter.
const ownV2 = `{"swagger":"2.0","info":{"title":"Kubernetes","version":"v1.37.0"},"paths":{"/api/":{"get":{}}},
 "definitions":{"ObjectMeta":{"properties":{"max":{"type":"integer","maximum":12345678901234567890},"name":{"type":"string"}},"type":"object"},
 "Usage":{"type":"string"},"Usage_v2":{"type":"number"},
 "APIResourceList":{"type":"object","x-kubernetes-group-version-kind":[{"group":"apps","kind":"APIResourceList","version":"v1"}]}},
 "parameters":{"limit":{"name":"limit","in":"query","type":"string"}},"security":[{"BearerToken":[]}]}`

const mergedV2 = `{"swagger":"2.0","info":{"title":"Kubernetes","version":"v1.37.0"},"paths":{"/api/":{"get":{}},
 "/apis/metrics.example.com/v1beta1/":{"get":{"produces":["application/json"],"responses":{"200":{"description":"OK","schema":{"$ref":"#/definitions/APIResourceList"}}}}},
 "/apis/metrics.example.com/v1beta1/pods":{"parameters":[{"$ref":"#/parameters/limit_v2"}],"post":{"consumes":["*/*"],"produces":["application/json","application/yaml"],
   "parameters":[{"name":"body","in":"body","required":true,"schema":{"$ref":"#/definitions/Pod"}},{"name":"dryRun","in":"query","type":"string","uniqueItems":true}],
   "responses":{"201":{"description":"Created","schema":{"$ref":"#/definitions/Pod"}},"401":{"description":"Unauthorized"}}}}},
 "definitions":{"ObjectMeta":{"type":"object","properties":{"name":{"type":"string"},"max":{"type":"integer","maximum":12345678901234567890}}},
 "Usage":{"type":"string"},"Usage_v2":{"type":"number"},"Usage_v3":{"type":"object","description":"a <b>"},
 "APIResourceList":{"type":"object","x-kubernetes-group-version-kind":[{"group":"apps","kind":"APIResourceList","version":"v1"},{"group":"","kind":"APIResourceList","version":"v1"}]},
 "Pod":{"type":"object","properties":{"metadata":{"$ref":"#/definitions/ObjectMeta"},"usage":{"$ref":"#/definitions/Usage_v3"}},"x-kubernetes-group-version-kind":[{"group":"metrics.example.com","kind":"Pod","version":"v1beta1"}]}},
 "parameters":{"limit":{"name":"limit","in":"query","type":"string"},"limit_v2":{"name":"limit","in":"query","type":"integer","uniqueItems":true}},"security":[{"BearerToken":[]}]}`

const convertedV3 = `{"openapi":"3.0.0","info":{"title":"Kubernetes","version":"unversioned"},"paths":{
 "/apis/metrics.example.com/v1beta1/":{"get":{"responses":{"200":{"description":"OK","content":{"application/json":{"schema":{"$ref":"#/components/schemas/APIResourceList"}}}}}}},
 "/apis/metrics.example.com/v1beta1/pods":{"parameters":[{"name":"limit","in":"query","schema":{"type":"integer","uniqueItems":true}}],"post":{
   "parameters":[{"name":"dryRun","in":"query","schema":{"type":"string","uniqueItems":true}}],"requestBody":{"required":true,"content":{"*/*":{"schema":{"$ref":"#/components/schemas/Pod"}}}},
   "responses":{"201":{"description":"Created","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Pod"}},"application/yaml":{"schema":{"$ref":"#/components/schemas/Pod"}}}},"401":{"description":"Unauthorized"}}}}},
 "components":{"schemas":{
 "Pod":{"type":"object","properties":{"metadata":{"$ref":"#/components/schemas/ObjectMeta"},"usage":{"$ref":"#/components/schemas/Usage"}},"x-kubernetes-group-version-kind":[{"group":"metrics.example.com","kind":"Pod","version":"v1beta1"}]},
 "ObjectMeta":{"type":"object","properties":{"name":{"type":"string"},"max":{"type":"integer","maximum":12345678901234567890}}},
 "Usage":{"type":"object","description":"a <b>"},
 "APIResourceList":{"type":"object","x-kubernetes-group-version-kind":[{"group":"","kind":"APIResourceList","version":"v1"}]}}}}`

func sameJSON(t *testing.T, got []byte, want string) {
	t.Helper()
	var a, b any
	if err := decodeJSON(got, &a); err != nil {
		t.Fatal(err)
	}
	if err := decodeJSON([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("got %s", got)
	}
}

func TestMerge(t *testing.T) {
	p, err := newPart([]byte(backendV2), thePath+"/")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a part may be merged more than once
		got, err := (&Documents{parts: []*part{p, p}}).Into([]byte(ownV2))
		if err != nil {
			t.Fatal(err)
		}
		sameJSON(t, got, mergedV2)
		if strings.Contains(string(got), `\u003c`) {
			t.Error("what needs no escapes has them")
		}
	}
	v3, err := p.asV3()
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, v3, convertedV3)
	if got, err := (&Documents{}).Into([]byte("anything")); err != nil || string(got) != "anything" {
		t.Errorf("%s %v", got, err)
	}
	if p, err := newPart([]byte(backendV2), "/apis/nothing/v1/"); p != nil || err != nil {
		t.Errorf("%v %v", p, err)
	}
	if _, err := newPart([]byte("[]"), thePath); err == nil {
		t.Error("no document, but understood")
	}
	// A definition that refers to itself.
	loop := `{"paths":{"` + thePath + `/a":{"get":{"schema":{"$ref":"#/definitions/A"}}}},"definitions":{"A":{"properties":{"a":{"$ref":"#/definitions/A"},"b":{"$ref":"#/definitions/missing"}}}}}`
	if p, err = newPart([]byte(loop), thePath+"/"); err != nil || len(p.Definitions) != 1 {
		t.Errorf("%+v %v", p, err)
	}
}

// TestMergeAlike: two group versions of one server share what they refer to, whatever it had to be called.
func TestMergeAlike(t *testing.T) {
	doc := func(version string) string {
		return `{"paths":{"/apis/g/` + version + `/a":{"get":{"schema":{"$ref":"#/definitions/A"}}}},"definitions":{"A":{"properties":{"a":{"$ref":"#/definitions/A"},"b":{"$ref":"#/definitions/B"}}},"B":{"type":"object","items":{"$ref":"#/definitions/C"}},"C":{"type":"number"}}}`
	}
	d := &Documents{}
	for _, v := range []string{"v1", "v2"} {
		p, err := newPart([]byte(doc(v)), "/apis/g/"+v+"/")
		if err != nil {
			t.Fatal(err)
		}
		d.parts = append(d.parts, p)
	}
	got, err := d.Into([]byte(`{"definitions":{"A":{"type":"string"},"C":{"type":"string"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, got, `{"paths":{"/apis/g/v1/a":{"get":{"schema":{"$ref":"#/definitions/A_v2"}}},"/apis/g/v2/a":{"get":{"schema":{"$ref":"#/definitions/A_v2"}}}},
 "definitions":{"A":{"type":"string"},"C":{"type":"string"},"C_v2":{"type":"number"},"B":{"type":"object","items":{"$ref":"#/definitions/C_v2"}},
 "A_v2":{"properties":{"a":{"$ref":"#/definitions/A_v2"},"b":{"$ref":"#/definitions/B"}}}}}`)
}

// library is a backend's OpenAPI.
type library struct {
	mu    sync.Mutex
	asked []string
	v2    string
	v3    string // "": it has none
	tag   string
}

func (l *library) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, r.URL.Path+" "+r.Header.Get("X-Remote-User")+" "+r.Header.Get("If-None-Match"))
	if l.tag != "" {
		w.Header().Set("Etag", l.tag)
		if r.Header.Get("If-None-Match") == l.tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	switch {
	case r.URL.Path == "/openapi/v2" && l.v2 != "":
		io.WriteString(w, l.v2)
	case r.URL.Path == "/openapi/v3" && l.v3 != "":
		io.WriteString(w, l.v3)
	case r.URL.Path == "/openapi/v3"+thePath && l.v3 != "":
		io.WriteString(w, "document for "+r.Header.Get("X-Remote-User")+" "+r.URL.RawQuery)
	default:
		http.NotFound(w, r)
	}
}

func (l *library) log() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := strings.Join(l.asked, "; ")
	l.asked = nil
	return s
}

func TestOpenAPI(t *testing.T) {
	l := &library{v2: backendV2, tag: `"1"`, v3: `{"paths":{"apis":{"serverRelativeURL":"/openapi/v3/apis?hash=A"},"apis/metrics.example.com/v1beta1":{"serverRelativeURL":"/openapi/v3/apis/metrics.example.com/v1beta1?hash=B"}}}`}
	c := available(t, l.ServeHTTP)
	now := time.Unix(1000, 0)
	var mu sync.Mutex
	c.a.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	index := func() string {
		b, _ := json.Marshal(c.a.OpenAPIV3(t.Context()))
		return string(b)
	}
	const at = `{"apis/metrics.example.com/v1beta1":"/openapi/v3/apis/metrics.example.com/v1beta1?hash=B"}`
	if got := index(); got != at {
		t.Error(got)
	}
	d := c.a.OpenAPIV2(t.Context())
	if d.Tag == "" || c.a.OpenAPIV2(t.Context()).Tag != d.Tag {
		t.Errorf("%q", d.Tag)
	}
	if got := l.log(); got != `/openapi/v3 system:aggregator ; /openapi/v2 system:aggregator ` {
		t.Error(got)
	}
	mu.Lock()
	now = now.Add(2 * time.Minute)
	mu.Unlock()
	if c.a.OpenAPIV2(t.Context()).Tag != d.Tag || index() != at {
		t.Error("unchanged, but something else")
	}
	if got := l.log(); got != `/openapi/v2 system:aggregator "1"; /openapi/v3 system:aggregator "1"` {
		t.Error(got)
	}
	// The documents themselves are asked for by the user.
	if _, body := c.get("/openapi/v3/apis/metrics.example.com/v1beta1?hash=B"); body != "document for jane hash=B" {
		t.Error(body)
	}
	if c.a.OpenAPIV3Handler("apis/other/v1") != nil {
		t.Error("a handler for nobody's document")
	}
	// A change of the APIService has it asked for again; what cannot be understood does not replace what was.
	l.mu.Lock()
	l.v2, l.tag = "garbage", ""
	l.mu.Unlock()
	o := c.apiService()
	o.Spec.VersionPriority++
	c.put(o)
	c.until(func() bool { return c.a.backend(theName).state.Load().object.Spec.VersionPriority == 101 })
	if c.a.OpenAPIV2(t.Context()).Tag != d.Tag {
		t.Error("it is forgotten")
	}
	c.remove(service())
	c.await("ServiceNotFound")
	if c.a.OpenAPIV2(t.Context()).Tag != d.Tag {
		t.Error("it is forgotten while the backend is away")
	}
	c.remove(c.apiService())
	c.until(func() bool { return c.a.OpenAPIV2(t.Context()).Tag == "" })
}

// TestOldOpenAPI: a backend that has only the second version gets the third made of it.
func TestOldOpenAPI(t *testing.T) {
	l := &library{v2: backendV2}
	c := available(t, l.ServeHTTP)
	at := c.a.OpenAPIV3(t.Context())["apis/metrics.example.com/v1beta1"]
	path, hash, _ := strings.Cut(at, "?hash=")
	if path != "/openapi/v3/apis/metrics.example.com/v1beta1" || len(hash) != 128 {
		t.Fatal(at)
	}
	res, body := c.get(at)
	if res.Header.Get("Etag") != `"`+hash+`"` || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", res.Header)
	}
	sameJSON(t, []byte(body), convertedV3)
	if res, _ := c.get(at, "If-None-Match", `"`+hash+`"`); res.StatusCode != 304 {
		t.Error(res.Status)
	}
}

// TestNoOpenAPI: a backend that tells nothing of itself is served all the same.
func TestNoOpenAPI(t *testing.T) {
	c := available(t, nil)
	if at := c.a.OpenAPIV3(t.Context()); len(at) != 0 {
		t.Error(at)
	}
	if d := c.a.OpenAPIV2(t.Context()); d.Tag != "" {
		t.Error(d.Tag)
	}
	if res, _ := c.get("/openapi/v3/apis/metrics.example.com/v1beta1"); res.StatusCode != 404 {
		t.Error(res.Status)
	}
}
