package apiserver

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

// Hostile requests, by class. Each is refused with a clear 4xx, without a panic and
// within bounds of memory that do not depend on what the client wrote. What each
// shows is listed in docs/security.md.

// besieged is a server with what it logs.
type besieged struct {
	*Server
	t   testing.TB
	mu  sync.Mutex
	log bytes.Buffer
}

func (b *besieged) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(p)
}

func (b *besieged) logged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

func besiege(t testing.TB, more ...func(*Options)) *besieged {
	t.Helper()
	b := &besieged{t: t}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.NewIssuer("https://test", key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Store: mem.New(), Tokens: tokens, Log: slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range more {
		f(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if b.Server, err = New(ctx, o); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; o.Store.Close() })
	c := b.Client(auth.System)
	for _, ns := range []string{"default", "other"} {
		if _, err := client.Create(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Create(ctx, c, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: ns}}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// do sends a request as an administrator.
func (b *besieged) do(method, target, media, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, asMasters(r))
	return w
}

// refused sends a request that must be answered with one of the codes, and must not
// take more than mb megabytes, all told.
func (b *besieged) refused(what, method, target, media, body string, mb uint64, codes ...int) string {
	b.t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := b.do(method, target, media, body)
	runtime.ReadMemStats(&after)
	found := false
	for _, c := range codes {
		found = found || c == w.Code
	}
	text := w.Body.String()
	if !found {
		b.t.Errorf("%s: %d, want %v: %.300s", what, w.Code, codes, text)
	}
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > mb {
		b.t.Errorf("%s: allocated %d MB, want at most %d", what, used, mb)
	}
	var st metav1.Status
	if w.Code >= 400 && (json.Unmarshal([]byte(text), &st) != nil || st.Message == "" || int(st.Code) != w.Code) {
		b.t.Errorf("%s: not a status: %.300s", what, text)
	}
	if strings.Contains(b.logged(), "request panicked") {
		b.t.Fatalf("%s: panicked: %.2000s", what, b.logged())
	}
	return text
}

const (
	configMaps = "/api/v1/namespaces/default/configmaps"
	jsonPatch  = "application/json-patch+json"
	mergePatch = "application/merge-patch+json"
	smPatch    = "application/strategic-merge-patch+json"
	applyPatch = "application/apply-patch+yaml"
)

// YAML aliases that expand to billions of nodes (CVE-2019-11253).
func TestAliasBombs(t *testing.T) {
	b := besiege(t)
	var bomb strings.Builder
	bomb.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n")
	fmt.Fprintf(&bomb, "a: &a [%s]\n", strings.Repeat("x,", 9)+"x")
	for c := 'b'; c <= 'i'; c++ {
		fmt.Fprintf(&bomb, "%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), c-1)
	}
	b.refused("alias bomb", "POST", configMaps, "application/yaml", bomb.String(), 64, 413)
	b.refused("applied alias bomb", "PATCH", configMaps+"/bomb?fieldManager=x", applyPatch, bomb.String(), 64, 413)
	// One long text, referred to by every line.
	long := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\na: &a " + strings.Repeat("y", 100_000) + "\ndata:\n"
	for n := range 5000 {
		long += fmt.Sprintf("  k%d: *a\n", n)
	}
	b.refused("alias of a long text", "POST", configMaps, "application/yaml", long, 64, 413)
	b.refused("delete options", "DELETE", configMaps+"/x", "application/yaml", strings.ReplaceAll(bomb.String(), "ConfigMap", "DeleteOptions"), 64, 413)
}

// Nesting deeper than any decoder should follow.
func TestDeepNesting(t *testing.T) {
	b := besiege(t)
	for _, depth := range []int{1_000, 10_001, 500_000} {
		for open, end := range map[string]string{"[": "]", `{"a":`: "}"} {
			deep := strings.Repeat(open, depth) + "1" + strings.Repeat(end, depth)
			doc := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"},"data":` + deep + `}`
			what := fmt.Sprintf("%d × %s", depth, open)
			b.refused("json "+what, "POST", configMaps, "application/json", doc, 64, 400, 413)
			b.refused("yaml "+what, "POST", configMaps, "application/yaml", doc, 200, 400, 413)
			b.refused("merge patch "+what, "PATCH", configMaps+"/x", mergePatch, doc, 64, 400, 404, 413)
			b.refused("strategic patch "+what, "PATCH", configMaps+"/x", smPatch, doc, 64, 400, 404, 413)
			b.refused("json patch "+what, "PATCH", configMaps+"/x", jsonPatch, `[{"op":"add","path":"/data","value":`+deep+`}]`, 64, 400, 404, 413)
			b.refused("apply "+what, "PATCH", configMaps+"/d?fieldManager=x", applyPatch, doc, 200, 400, 413, 500)
		}
	}
}

// JSON patches whose operations multiply what they work on (CVE-2019-1002100).
func TestPatchBombs(t *testing.T) {
	b := besiege(t)
	b.seed(t, configMaps, `{"metadata":{"name":"x"},"data":{"a":"`+strings.Repeat("y", 1000)+`"}}`)
	// Every copy doubles.
	ops := make([]string, 60)
	for n := range ops {
		ops[n] = fmt.Sprintf(`{"op":"copy","from":"/data","path":"/data/k%d"}`, n)
	}
	b.refused("copies of copies", "PATCH", configMaps+"/x", jsonPatch, "["+strings.Join(ops, ",")+"]", 64, 400, 413, 422)
	ops = make([]string, 10_000)
	for n := range ops {
		ops[n] = fmt.Sprintf(`{"op":"copy","from":"/data/a","path":"/data/k%d"}`, n)
	}
	b.refused("ten thousand copies", "PATCH", configMaps+"/x", jsonPatch, "["+strings.Join(ops, ",")+"]", 64, 400, 413, 422)
	many := "[" + strings.TrimSuffix(strings.Repeat(`{"op":"test","path":"/kind","value":"ConfigMap"},`, 10_001), ",") + "]"
	b.refused("more operations than there may be", "PATCH", configMaps+"/x", jsonPatch, many, 64, 413)

	// A long list, shifted by every operation.
	finalizers := strings.TrimSuffix(strings.Repeat(`"a/b",`, 100_000), ",")
	b.seed(t, configMaps, `{"metadata":{"name":"long","finalizers":[`+finalizers+`]}}`)
	shift := "[" + strings.TrimSuffix(strings.Repeat(`{"op":"add","path":"/metadata/finalizers/0","value":"a/b"},`, 9_999), ",") + "]"
	b.refused("shifts", "PATCH", configMaps+"/long", jsonPatch, shift, 64, 413)
	for _, at := range []string{"999999999999", "-1", "-99999999999", "01", "1e3", "9223372036854775808", "--", ""} {
		b.refused("index "+at, "PATCH", configMaps+"/long", jsonPatch, `[{"op":"add","path":"/metadata/finalizers/`+at+`","value":7}]`, 64, 400, 422)
	}
	for _, p := range []string{`[{"op":"replace","path":"","value":null}]`, `[{"op":"remove","path":""}]`, `[{"op":"move","from":"","path":"/a"}]`, `[{"op":"copy","from":"/metadata","path":""}]`,
		`[{"op":"add"}]`, `[{}]`, `[null]`, `{}`, `"x"`, `[{"op":7,"path":"/a"}]`, `[{"op":"add","path":7,"value":1}]`, `[{"op":"add","path":"/metadata/name/x/y","value":1}]`,
		`[{"op":"replace","path":"/metadata","value":[]}]`, `[{"op":"replace","path":"/metadata","value":null}]`, `[{"op":"test","path":"/nothing/here","value":1}]`,
		`[{"op":"remove","path":"/metadata/name"}]`, `[{"op":"replace","path":"/metadata/namespace","value":"other"}]`, `[{"op":"replace","path":"/metadata/name","value":"other"}]`} {
		b.refused(p, "PATCH", configMaps+"/x", jsonPatch, p, 64, 400, 409, 422)
	}
}

// Lists of a strategic merge that cost the product of their lengths, and directives
// where they do not belong.
func TestStrategicMergeBombs(t *testing.T) {
	b := besiege(t)
	env := func(prefix string, n int) string {
		items := make([]string, n)
		for i := range items {
			items[i] = fmt.Sprintf(`{"name":"%s%d"}`, prefix, i)
		}
		return strings.Join(items, ",")
	}
	pods := "/api/v1/namespaces/default/pods"
	b.seed(t, pods, `{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i","env":[`+env("a", 20_000)+`]}]}}`)
	b.refused("lists", "PATCH", pods+"/p", smPatch, `{"spec":{"containers":[{"name":"c","env":[`+env("b", 50_000)+`]}]}}`, 200, 413)
	b.refused("order", "PATCH", pods+"/p", smPatch, `{"spec":{"containers":[{"name":"c","$setElementOrder/env":[`+env("b", 50_000)+`]}]}}`, 200, 413)
	for _, p := range []string{`{"$patch":"explode"}`, `{"$patch":7}`, `{"metadata":{"$patch":"delete"}}`, `{"spec":{"containers":{"$patch":"replace"}}}`,
		`{"spec":{"containers":[{"$patch":"merge"}]}}`, `{"spec":{"containers":[{"image":"no key"}]}}`, `{"spec":{"containers":[7]}}`, `{"spec":{"containers":[null]}}`,
		`{"spec":{"containers":"c"}}`, `{"spec":{"containers":[[]]}}`, `{"spec":[]}`, `{"spec":"x"}`, `{"metadata":{"$deleteFromPrimitiveList/finalizers":7}}`,
		`{"metadata":{"$setElementOrder/finalizers":{}}}`, `{"spec":{"$setElementOrder/containers":[7]}}`, `{"spec":{"$setElementOrder/containers":[{"name":"zz"}],"containers":[{"name":"c"}]}}`,
		`{"spec":{"$retainKeys":7}}`, `{"spec":{"$retainKeys":["x"],"containers":[]}}`, `{"metadata":{"finalizers":{"a":1}}}`, `{"metadata":null}`, `{"spec":null}`, `{"kind":{}}`, `[]`, `7`, ``, `{`,
		`{"spec":{"containers":[{"name":{},"image":"x"}]}}`, `{"spec":{"containers":[{"name":"c","ports":[{"containerPort":"x"}]}]}}`, `{"spec":{"containers":[{"name":"c","$patch":{}}]}}`} {
		// compat: what the library has no verdict of its own for is a server error, in the library's words.
		b.refused(p, "PATCH", pods+"/p", smPatch, p, 200, 200, 400, 422, 500)
	}
}

// seed makes an object.
func (b *besieged) seed(t *testing.T, target, body string) {
	t.Helper()
	if w := b.do("POST", target, "application/json", body); w.Code != 201 {
		t.Fatalf("seed %s: %d %.500s", target, w.Code, w.Body)
	}
}
