package apiserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

// renamer is a conversion webhook: what v1 calls spec.size, v2 calls spec.width.
type renamer struct {
	*httptest.Server
	calls, objects atomic.Int64
	mu             sync.Mutex
	twist          func(w http.ResponseWriter, q, a map[string]any) (answered bool)
}

// newRenamer starts a webhook whose certificate has such names besides its address.
func newRenamer(t testing.TB, names ...string) *renamer {
	t.Helper()
	h := &renamer{}
	h.Server = httptest.NewUnstartedServer(h)
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	like := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, like, like, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	h.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}}
	h.StartTLS()
	t.Cleanup(h.Close)
	return h
}

// misbehave has the webhook do something else to its answers; nil: no more.
func (h *renamer) misbehave(twist func(w http.ResponseWriter, q, a map[string]any) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.twist = twist
}

func (h *renamer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.calls.Add(1)
	var q map[string]any
	b, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(b, &q); err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	request := q["request"].(map[string]any)
	want := request["desiredAPIVersion"].(string)
	var out []any
	for _, o := range request["objects"].([]any) {
		h.objects.Add(1)
		u := o.(map[string]any)
		if meta := u["metadata"].(map[string]any); meta["resourceVersion"] != nil {
			http.Error(w, "a resourceVersion in what is stored", 400)
			return
		}
		spec, _ := u["spec"].(map[string]any)
		for from, to := range map[string]string{"size": "width", "width": "size"} {
			if v, ok := spec[from]; ok && strings.HasSuffix(want, map[string]string{"width": "v2", "size": "v1"}[to]) {
				delete(spec, from)
				spec[to] = v
				break
			}
		}
		u["apiVersion"] = want
		out = append(out, u)
	}
	a := map[string]any{"apiVersion": q["apiVersion"], "kind": q["kind"],
		"response": map[string]any{"uid": request["uid"], "result": map[string]any{"status": "Success"}, "convertedObjects": out}}
	h.mu.Lock()
	twist := h.twist
	h.mu.Unlock()
	if twist != nil && twist(w, q, a) {
		return
	}
	json.NewEncoder(w).Encode(a)
}

func (h *renamer) bundle() string {
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw}))
}

func (h *renamer) byURL() string {
	return fmt.Sprintf(`{"strategy":"Webhook","webhook":{"conversionReviewVersions":["v1"],"clientConfig":{"url":"%s/convert","caBundle":%q}}}`, h.URL, h.bundle())
}

const sizes = `"size":{"type":"integer","default":1},"color":{"type":"string"}`
const widths = `"width":{"type":"integer"},"color":{"type":"string"}`

func (h *renamer) boxes(stored string) string {
	return definitionOf("boxes", h.byURL(), versionOf("v1", stored == "v1", sizes, `,"selectableFields":[{"jsonPath":".spec.size"}]`),
		versionOf("v2", stored == "v2", widths, `,"selectableFields":[{"jsonPath":".spec.width"}],"subresources":{"status":{}}`))
}

// store moves the version that the boxes are stored in.
func (s *customServer) storeIn(version string) {
	s.t.Helper()
	at := map[string]string{"v1": "01", "v2": "10"}[version]
	s.want(200, "PATCH", definitionsPath+"/boxes.example.com", fmt.Sprintf(`[{"op":"replace","path":"/spec/versions/%c/storage","value":true},{"op":"replace","path":"/spec/versions/%c/storage","value":false}]`, at[0], at[1]))
	s.t.Helper()
	if r := s.rowOf(version, "boxes"); !r.Custom.Stored {
		s.t.Fatalf("boxes are not stored in %s", version)
	}
}

// Every verb in both versions, with the webhook by URL and behind a service.
func TestConversionWebhook(t *testing.T) {
	for _, how := range []string{"url", "service"} {
		t.Run(how, func(t *testing.T) {
			h := newRenamer(t, "hook.default.svc")
			s := startCustom(t, mem.New(), func(o *Options) {
				o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, strings.Replace(address, "10.9.9.9", "127.0.0.1", 1))
				}
			})
			definition := h.boxes("v1")
			if how == "service" {
				definition = strings.Replace(definition, fmt.Sprintf(`"url":"%s/convert"`, h.URL), `"service":{"namespace":"default","name":"hook","path":"/convert","port":8443}`, 1)
				s.endpoints("hook", 8443, strings.Replace(h.Listener.Addr().String(), "127.0.0.1", "10.9.9.9", 1))
			}
			s.define(definition)
			web := httptest.NewServer(asMaster(s.Server))
			t.Cleanup(web.Close)
			one, two := s.watchOver(web, pathOf("v1", "boxes")+"?watch=1"), s.watchOver(web, pathOf("v2", "boxes")+"?watch=1")

			s.want(201, "POST", pathOf("v1", "boxes"), objectOf("v1", "boxes", "a", `{"size":3}`), `"apiVersion":"example.com/v1"`, `"size":3`)
			one.want(`"ADDED"`, `"example.com/v1"`, `"size":3`)
			two.want(`"ADDED"`, `"example.com/v2"`, `"width":3`)
			s.want(201, "POST", pathOf("v2", "boxes"), objectOf("v2", "boxes", "b", `{"width":4,"size":7}`), `"apiVersion":"example.com/v2"`, `"width":4`, `!"size":`)
			one.want(`"ADDED"`, `"size":4`)
			two.want(`"ADDED"`, `"width":4`)
			if got := s.stored("boxes", "b"); !strings.Contains(got, `"size":4`) || !strings.Contains(got, `example.com/v1"`) || strings.Contains(got, `"width":4`) {
				t.Errorf("stored: %s", got)
			}
			s.want(200, "GET", pathOf("v2", "boxes", "a"), "", `"width":3`, `!"size":`)
			s.want(200, "GET", pathOf("v1", "boxes", "b"), "", `"size":4`, `!"width":`)
			s.want(200, "GET", pathOf("v2", "boxes"), "", `"width":3`, `"width":4`, `"kind":"BoxesList"`)
			s.want(200, "GET", pathOf("v2", "boxes")+"?fieldSelector=spec.width=4", "", `"name":"b"`, `!"name":"a"`)
			s.want(200, "GET", pathOf("v1", "boxes")+"?fieldSelector=spec.size=3", "", `"name":"a"`, `!"name":"b"`)

			s.want(200, "PATCH", pathOf("v2", "boxes", "a"), `{"spec":{"width":5}}`, `"width":5`, `"generation":2`)
			one.want(`"MODIFIED"`, `"size":5`)
			two.want(`"MODIFIED"`, `"width":5`)
			s.want(200, "PATCH", pathOf("v2", "boxes", "a"), `[{"op":"replace","path":"/spec/width","value":6}]`, `"width":6`)
			one.want(`"size":6`)
			two.want(`"width":6`)
			s.want(200, "PATCH", pathOf("v2", "boxes", "a")+"?fieldManager=me", "apiVersion: example.com/v2\nkind: Boxes\nspec: {color: red}\n", `"color":"red"`, `"manager":"me"`)
			one.want(`"color":"red"`)
			two.want(`"color":"red"`)
			rv := pickVersion(s.want(200, "GET", pathOf("v2", "boxes", "b"), ""))
			s.want(200, "PUT", pathOf("v2", "boxes", "b"), strings.Replace(objectOf("v2", "boxes", "b", `{"width":9}`), `"name"`, `"resourceVersion":"`+rv+`","name"`, 1), `"width":9`)
			one.want(`"size":9`)
			two.want(`"width":9`)
			s.want(200, "PATCH", pathOf("v2", "boxes", "b", "status"), `{"status":{"ok":true}}`, `"ok":true`, `"width":9`)
			one.want(`"ok":true`)
			two.want(`"ok":true`)

			// What is stored in another version than new objects are is found in both.
			s.storeIn("v2")
			for _, w := range []*watching{one, two} {
				if line := w.next(); line != "" {
					t.Errorf("a watch of what was: %s", line)
				}
			}
			s.want(200, "GET", pathOf("v1", "boxes", "a"), "", `"size":6`)
			s.want(200, "GET", pathOf("v2", "boxes"), "", `"width":6`, `"width":9`)
			if got := s.stored("boxes", "a"); !strings.Contains(got, `example.com/v1"`) {
				t.Errorf("it was stored anew: %s", got)
			}
			s.want(200, "PATCH", pathOf("v1", "boxes", "a"), `{"spec":{"size":8}}`, `"size":8`)
			if got := s.stored("boxes", "a"); !strings.Contains(got, `example.com/v2"`) || !strings.Contains(got, `"width":8`) {
				t.Errorf("stored: %s", got)
			}
			two = s.watchOver(web, pathOf("v2", "boxes")+"?watch=1&fieldSelector=spec.width=9&resourceVersion="+rv)
			two.want(`"ADDED"`, `"name":"b"`, `"width":9`) // it was 4
			two.want(`"MODIFIED"`, `"ok":true`)
			s.want(200, "DELETE", pathOf("v1", "boxes", "b"), "")
			two.want(`"DELETED"`, `"width":9`, `"apiVersion":"example.com/v2"`)
		})
	}
}

func pickVersion(body string) string {
	var o struct {
		Metadata struct{ ResourceVersion string }
	}
	json.Unmarshal([]byte(body), &o)
	return o.Metadata.ResourceVersion
}

// endpoints makes a service with one endpoint.
func (s *customServer) endpoints(name string, port int32, address string) {
	s.t.Helper()
	c := s.Client(auth.System)
	host, p, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(p)
	target, tcp := int32(n), corev1.ProtocolTCP
	if _, err := client.Create(context.Background(), c, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec: corev1.ServiceSpec{ClusterIP: "None", Ports: []corev1.ServicePort{{Port: port, Protocol: tcp}}}}); err != nil {
		s.t.Fatal(err)
	}
	if _, err := client.Create(context.Background(), c, &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: name + "-1", Namespace: "default", Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{host}}}, Ports: []discoveryv1.EndpointPort{{Port: &target, Protocol: &tcp}}}); err != nil {
		s.t.Fatal(err)
	}
}

// Whatever a webhook does, requests that need it fail in the words of Kubernetes, nothing is
// written, and the rest of the server does not notice.
func TestConversionWebhookFails(t *testing.T) {
	s, h := startCustom(t, mem.New()), newRenamer(t)
	s.define(h.boxes("v1"))
	s.want(201, "POST", pathOf("v1", "boxes"), objectOf("v1", "boxes", "a", `{"size":3}`))
	web := httptest.NewServer(asMaster(s.Server))
	t.Cleanup(web.Close)
	response := func(a map[string]any) map[string]any { return a["response"].(map[string]any) }
	first := func(a map[string]any) map[string]any {
		return response(a)["convertedObjects"].([]any)[0].(map[string]any)
	}
	meta := func(a map[string]any) map[string]any { return first(a)["metadata"].(map[string]any) }
	twist := func(f func(a map[string]any)) func(http.ResponseWriter, map[string]any, map[string]any) bool {
		return func(_ http.ResponseWriter, _, a map[string]any) bool { f(a); return false }
	}
	const v1 = "conversion webhook for example.com/v1, Kind=Boxes "
	for _, c := range []struct {
		name, want string
		twist      func(http.ResponseWriter, map[string]any, map[string]any) bool
	}{
		{"500", v1 + `failed: an error on the server (\"out of order\") has prevented the request from succeeding`, func(w http.ResponseWriter, _, _ map[string]any) bool {
			http.Error(w, "out of order", 500)
			return true
		}},
		{"404", v1 + "failed: the server could not find the requested resource", func(w http.ResponseWriter, _, _ map[string]any) bool {
			w.WriteHeader(404)
			return true
		}},
		{"breaks off", v1 + `failed: Post \"` + h.URL + `/convert?timeout=30s\": EOF`, func(http.ResponseWriter, map[string]any, map[string]any) bool { panic(http.ErrAbortHandler) }},
		{"garbage", v1 + "failed: the webhook's answer is not what it should be", func(w http.ResponseWriter, _, _ map[string]any) bool {
			io.WriteString(w, "<html>")
			return true
		}},
		{"too much", v1 + "failed: the webhook's answer is too long: more than 3145728 bytes", func(w http.ResponseWriter, _, _ map[string]any) bool {
			w.Write(make([]byte, 4<<20))
			return true
		}},
		{"another version", v1 + "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got apiextensions.k8s.io/v1beta1, Kind=ConversionReview", twist(func(a map[string]any) { a["apiVersion"] = "apiextensions.k8s.io/v1beta1" })},
		{"nothing", v1 + "failed: no response provided", twist(func(a map[string]any) { delete(a, "response") })},
		{"another question", v1 + `failed: expected response.uid=`, twist(func(a map[string]any) { response(a)["uid"] = "x" })},
		{"refused", v1 + "failed: not today", twist(func(a map[string]any) {
			response(a)["result"] = map[string]any{"status": "Failure", "message": "not today"}
		})},
		{"refused without a word", v1 + "failed: response.result.status was '', not 'Success'", twist(func(a map[string]any) { delete(response(a), "result") })},
		{"too few", v1 + "returned 0 objects, expected 1", twist(func(a map[string]any) { response(a)["convertedObjects"] = []any{} })},
		{"too many", v1 + "returned 2 objects, expected 1", twist(func(a map[string]any) { response(a)["convertedObjects"] = []any{first(a), first(a)} })},
		{"not converted", v1 + "returned invalid object: invalid groupVersion (expected example.com/v2, received example.com/v1)", twist(func(a map[string]any) { first(a)["apiVersion"] = "example.com/v1" })},
		{"another kind", v1 + "returned invalid object: invalid kind (expected Boxes, received Pod)", twist(func(a map[string]any) { first(a)["kind"] = "Pod" })},
		{"another name", v1 + "returned invalid object: must have the same name: a != z", twist(func(a map[string]any) { meta(a)["name"] = "z" })},
		{"another namespace", v1 + "returned invalid object: must have the same namespace: default != z", twist(func(a map[string]any) { meta(a)["namespace"] = "z" })},
		{"another uid", v1 + "returned invalid object: must have the same UID: ", twist(func(a map[string]any) { meta(a)["uid"] = "z" })},
		{"no metadata", v1 + "returned invalid object: must have the same name: a != ", twist(func(a map[string]any) { delete(first(a), "metadata") })},
		{"bad labels", v1 + "returned invalid metadata: metadata.labels: Invalid value: ", twist(func(a map[string]any) { meta(a)["labels"] = map[string]any{"a b": "c"} })},
		{"labels that are none", v1 + "returned invalid metadata: invalid metadata.labels of type []interface {} in converted object", twist(func(a map[string]any) { meta(a)["labels"] = []any{} })},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &customServer{Server: s.Server, t: t}
			h.misbehave(c.twist)
			before := s.feed.applied.Load()
			failed := []string{`"kind":"Status"`, c.want, `"code":500`, `!Internal error`, `!"reason":`}
			s.want(500, "GET", pathOf("v2", "boxes", "a"), "", failed...)
			s.want(500, "GET", pathOf("v2", "boxes"), "", failed...)
			s.want(500, "GET", pathOf("v2", "boxes")+"?labelSelector=a=b", "", failed...)
			s.want(500, "PATCH", pathOf("v2", "boxes", "a"), `{"spec":{"width":5}}`, failed...)
			s.want(500, "PATCH", pathOf("v2", "boxes", "a")+"?fieldManager=me", "apiVersion: example.com/v2\nkind: Boxes\nspec: {color: red}\n", failed...)
			s.want(500, "POST", pathOf("v2", "boxes"), objectOf("v2", "boxes", "a", `{"width":4}`), "conversion webhook for example.com/v")
			s.want(500, "POST", pathOf("v2", "boxes"), objectOf("v2", "boxes", "b", `{"width":4}`), "conversion webhook for example.com/v")
			s.want(500, "DELETE", pathOf("v2", "boxes", "a"), "", failed...)
			s.want(404, "GET", pathOf("v1", "boxes", "b"), "")
			w := s.watchOver(web, pathOf("v2", "boxes")+"?watch=1")
			w.want(append([]string{`"ERROR"`}, failed[:3]...)...)
			if line := w.next(); line != "" {
				t.Errorf("after the error: %s", line)
			}
			if now := s.feed.applied.Load(); now != before {
				t.Errorf("revision %d became %d", before, now)
			}
			s.want(200, "GET", pathOf("v1", "boxes"), "", `"size":3`)
		})
	}
	h.misbehave(nil)
	s.want(200, "GET", pathOf("v2", "boxes", "a"), "", `"width":3`)
}

// What a webhook changes of labels and annotations counts; nothing else of the metadata does.
func TestConversionKeepsMetadata(t *testing.T) {
	s, h := startCustom(t, mem.New()), newRenamer(t)
	s.define(h.boxes("v1"))
	h.misbehave(func(_ http.ResponseWriter, q, a map[string]any) bool {
		for _, o := range a["response"].(map[string]any)["convertedObjects"].([]any) {
			m := o.(map[string]any)["metadata"].(map[string]any)
			version := o.(map[string]any)["apiVersion"].(string)
			m["labels"] = map[string]any{"shown": version[len(version)-2:]}
			m["finalizers"], m["generation"], m["creationTimestamp"] = []any{"x/y"}, 77, nil
		}
		return false
	})
	s.want(201, "POST", pathOf("v1", "boxes"), objectOf("v1", "boxes", "a", `{}`))
	s.want(200, "GET", pathOf("v2", "boxes", "a"), "", `"labels":{"shown":"v2"}`, `"generation":1`, `!finalizers`, `"width":1`)
	s.want(200, "GET", pathOf("v2", "boxes")+"?labelSelector=shown=v2", "", `"name":"a"`)
	s.want(200, "GET", pathOf("v1", "boxes")+"?labelSelector=shown", "", `"items":[]`)
}

func TestConversionTakesTooLong(t *testing.T) {
	h := newRenamer(t)
	slow := make(chan struct{})
	defer close(slow)
	h.misbehave(func(http.ResponseWriter, map[string]any, map[string]any) bool { <-slow; return true })
	s := startCustom(t, mem.New())
	s.define(h.boxes("v1"))
	r := s.rowOf("v2", "boxes")
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("example.com/v1")
	u.SetKind("Boxes")
	u.SetName("a")
	crd, err := s.Client(auth.System).Get(t.Context(), definitionRow(), "", "boxes.example.com")
	if err != nil {
		t.Fatal(err)
	}
	w := &conversionWebhook{s: s.Server, group: "example.com", hook: crd.(*apiextensionsv1.CustomResourceDefinition).Spec.Conversion.Webhook, timeout: 50 * time.Millisecond}
	_, err = w.convert(u, r.GVK.Version)
	// Which part of the way is too long is a matter of chance.
	want := `conversion webhook for example.com/v1, Kind=Boxes failed: Post "` + h.URL + `/convert?timeout=50ms": `
	if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "deadline exceeded") && !strings.Contains(err.Error(), "timeout") {
		t.Errorf("%v\nwant %s that time is up", err, want)
	}
}

// A thousand objects are one question, and none when they are asked for again; so is one that
// many ask for at the same time.
func TestConversionsAreFew(t *testing.T) {
	s, h := startCustom(t, mem.New()), newRenamer(t)
	s.define(h.boxes("v1"))
	for i := range 1000 {
		if code, body := s.ask("POST", pathOf("v1", "boxes"), objectOf("v1", "boxes", fmt.Sprintf("b%d", i), `{"size":3}`)); code != 201 {
			t.Fatal(body)
		}
	}
	if n := h.calls.Load(); n != 0 {
		t.Errorf("%d calls for what is written in the stored version", n)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, body := s.ask("GET", pathOf("v2", "boxes"), ""); strings.Count(body, `"width":3`) != 1000 {
				t.Errorf("%.300s", body)
			}
		})
	}
	all.Wait()
	s.ask("GET", pathOf("v2", "boxes")+"?labelSelector=a!=b", "")
	if calls, objects := h.calls.Load(), h.objects.Load(); calls > 2 || objects != 1000 {
		t.Errorf("%d calls for %d objects", calls, objects)
	}
	web := httptest.NewServer(asMaster(s.Server))
	t.Cleanup(web.Close)
	rv := pickVersion(s.want(200, "GET", pathOf("v1", "boxes", "b0"), ""))
	now := revText(s.feed.applied.Load())
	var watches []*watching
	for range 20 {
		watches = append(watches, s.watchOver(web, pathOf("v2", "boxes")+"?watch=1&resourceVersion="+now))
	}
	h.calls.Store(0)
	s.want(200, "PUT", pathOf("v1", "boxes", "b0"), strings.Replace(objectOf("v1", "boxes", "b0", `{"size":4}`), `"name"`, `"resourceVersion":"`+rv+`","name"`, 1))
	for _, w := range watches {
		w.want(`"MODIFIED"`, `"width":4`)
	}
	if calls := h.calls.Load(); calls != 1 {
		t.Errorf("%d calls for a change that 20 watch", calls)
	}
	s.want(200, "DELETE", pathOf("v1", "boxes", "b0"), "")
	for _, w := range watches {
		w.want(`"DELETED"`, `"width":4`)
	}
	if calls := h.calls.Load(); calls != 1 {
		t.Errorf("%d calls for what was known", calls)
	}
}

// While a webhook takes its time, only those wait who need it: not the feed, not other kinds,
// not the same kind in its stored version, not parts of this process.
func TestNobodyWaitsForWebhooks(t *testing.T) {
	s, h := startCustom(t, mem.New()), newRenamer(t)
	s.define(h.boxes("v1"))
	s.want(201, "POST", pathOf("v1", "boxes"), objectOf("v1", "boxes", "a", `{"size":3}`))
	s.storeIn("v2") // from here on, what is there is of an old version
	c := s.Client(auth.System)
	release, asked := make(chan struct{}), make(chan struct{}, 10)
	h.misbehave(func(http.ResponseWriter, map[string]any, map[string]any) bool {
		asked <- struct{}{}
		<-release
		return false
	})
	var waiting sync.WaitGroup
	for range 2 {
		waiting.Go(func() { s.want(200, "GET", pathOf("v2", "boxes", "a"), "", `"width":3`) })
	}
	<-asked
	row := s.Rows()[slices.IndexFunc(s.Rows(), func(r *api.Resource) bool { return r.GVR.Resource == "boxes" })]
	w, err := c.Watch(t.Context(), row, "", client.Selector{}, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	events, err := w.Next(t.Context())
	if err != nil || len(events) != 2 || events[0].Object.GetName() != "a" || events[0].Object.GetResourceVersion() == "" {
		t.Errorf("%v %v", events, err)
	}
	if _, err := client.Create(t.Context(), c, configMap("other", "kind")); err != nil {
		t.Error(err)
	}
	s.want(201, "POST", pathOf("v2", "boxes"), objectOf("v2", "boxes", "b", `{"width":3}`))
	if objects, _, err := c.List(t.Context(), row, "", client.Selector{}); err != nil || len(objects) != 2 {
		t.Errorf("%v %v", objects, err)
	}
	if _, err := client.Create(t.Context(), c, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q", Namespace: "default"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/boxes.example.com": resource.MustParse("3")}}}); err != nil {
		t.Fatal(err)
	}
	s.want(201, "POST", pathOf("v2", "boxes"), objectOf("v2", "boxes", "c", `{"width":3}`))
	s.want(403, "POST", pathOf("v2", "boxes"), objectOf("v2", "boxes", "d", `{"width":3}`), "exceeded quota: q, requested: count/boxes.example.com=1, used: count/boxes.example.com=3, limited: count/boxes.example.com=3")
	close(release)
	waiting.Wait()
	if n := h.calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}

	// A part of this process that changes what it read as it is stored, changes that.
	h.misbehave(nil)
	o, err := c.Get(t.Context(), row, "default", "a")
	if err != nil || o.GetObjectKind().GroupVersionKind().Version != "v1" {
		t.Fatalf("%v %v", o, err)
	}
	next := o.DeepCopyObject().(api.Object)
	next.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: "u"}})
	if _, err := c.Update(t.Context(), row, next, ""); err != nil {
		t.Fatal(err)
	}
	s.want(200, "GET", pathOf("v1", "boxes", "a"), "", `"size":3`, `"uid":"u"`)
	if got := s.stored("boxes", "a"); !strings.Contains(got, `"width":3`) {
		t.Error(got)
	}
	h.misbehave(func(w http.ResponseWriter, _, _ map[string]any) bool { w.WriteHeader(503); return true })
	if err := c.Delete(t.Context(), row, "default", "a", metav1.DeleteOptions{}); err != nil {
		t.Errorf("what is stored as it is wanted: %v", err)
	}
}
