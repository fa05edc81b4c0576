package cli_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/apiserver"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/cli"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

// world is a server, the verbs that talk to it, and kubectl's part played by hand.
type world struct {
	t   *testing.T
	st  store.Store
	url string
	cli *cli.Server
}

func newWorld(t *testing.T) *world {
	st := mem.New()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := apiserver.New(ctx, apiserver.Options{Store: st, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cert := &x509.Certificate{Subject: pkix.Name{CommonName: "kubernetes-admin", Organization: []string{"system:masters"}}}
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		h.Close()
		cancel()
		<-done
		st.Close()
	})
	if _, err := client.Create(ctx, s.Client(auth.System), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
		t.Fatal(err)
	}
	return &world{t, st, h.URL, cli.NewServer(h.Client(), h.URL)}
}

// do sends a request as a client of that name, and returns the revision that the store stands at then.
func (w *world) do(method, path, manager, body string) int64 {
	w.t.Helper()
	r, err := http.NewRequest(method, w.url+path+"?fieldManager="+manager, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/merge-patch+json")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); res.StatusCode > 299 {
		w.t.Fatalf("%s %s: %s", method, path, b)
	}
	rev, _ := w.st.Revision()
	return rev
}

// want holds output against a pattern: each line a regular expression, in order.
func want(t *testing.T, got string, patterns ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(got), "\n")
	for i, p := range patterns {
		if i >= len(lines) || !regexp.MustCompile(p).MatchString(lines[i]) {
			t.Errorf("line %d: no %q in\n%s", i+1, p, got)
			return
		}
	}
	if len(lines) != len(patterns) {
		t.Errorf("%d lines, want %d:\n%s", len(lines), len(patterns), got)
	}
}

const deployments = "/apis/apps/v1/namespaces/default/deployments"

const web = `{"metadata":{"name":"web"},"spec":{"replicas":3,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"web:1"}]}}}}`

func TestHistory(t *testing.T) {
	w := newWorld(t)
	w.do("POST", deployments, "kubectl-create", web)
	w.do("PATCH", deployments+"/web", "kubectl-scale", `{"spec":{"replicas":5}}`)
	w.do("PATCH", deployments+"/web", "kubectl-edit", `{"metadata":{"labels":{"example.com/tier":"front"}},"spec":{"template":{"spec":{"containers":[{"name":"c","image":"web:2"}]}}}}`)
	var out bytes.Buffer
	if err := w.cli.History(t.Context(), &out, "deploy", "web", "default"); err != nil {
		t.Fatal(err)
	}
	const when = `\s+\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\s+`
	want(t, out.String(), `^REVISION\s+TIME\s+WHO\s+WHAT CHANGED$`,
		`^\d+`+when+`kubectl-create \(Update\)\s+created$`,
		`^\d+`+when+`kubectl-scale \(Update\)\s+spec.replicas: 3 → 5$`,
		`^\d+`+when+`kubectl-edit \(Update\)\s+spec.template.spec.containers\[c\].image: web:1 → web:2, metadata.labels\[example.com/tier\]: none → front$`)

	// Deleted and made anew; then compacted, so that history begins in the midst of it.
	w.do("DELETE", deployments+"/web", "kubectl", `{"propagationPolicy":"Background"}`)
	rev := w.do("POST", deployments, "argocd", web)
	w.do("PATCH", deployments+"/web", "kubectl-scale", `{"spec":{"replicas":1}}`)
	out.Reset()
	if err := w.cli.History(t.Context(), &out, "Deployment.apps", "web", "default"); err != nil {
		t.Fatal(err)
	}
	want(t, out.String(), "REVISION", "created", "kubectl-scale", "kubectl-edit", `-\s+deleted$`, `argocd \(Update\)\s+created`, `spec.replicas: 3 → 1`)
	if err := w.st.Compact(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := w.cli.History(t.Context(), &out, "deployments", "web", "default"); err != nil {
		t.Fatal(err)
	}
	want(t, out.String(), "REVISION", `argocd \(Update\)\s+as history finds it`, `spec.replicas: 3 → 1`)
	for _, missing := range [][2]string{{"deployments", "other"}, {"spaceships", "web"}} {
		if err := w.cli.History(t.Context(), &out, missing[0], missing[1], "default"); err == nil {
			t.Errorf("%v has a history", missing)
		}
	}
}

func TestDiff(t *testing.T) {
	w := newWorld(t)
	from := w.do("POST", deployments, "a", web)
	to := w.do("PATCH", deployments+"/web", "b", `{"spec":{"replicas":5}}`)
	w.do("POST", "/api/v1/namespaces/default/configmaps", "a", `{"metadata":{"name":"new"},"data":{"k":"v"}}`)
	var out bytes.Buffer
	differ, err := w.cli.Diff(t.Context(), &out, "deployment", "web", "default", cli.Span{From: fmt.Sprint(from), To: fmt.Sprint(to)})
	if err != nil || !differ {
		t.Fatal(differ, err)
	}
	text := out.String()
	for _, p := range []string{fmt.Sprintf(`(?m)^--- deployments.apps/web \(revision %d\)$`, from), fmt.Sprintf(`(?m)^\+\+\+ deployments.apps/web \(revision %d\)$`, to), `(?m)^-  replicas: 3$`, `(?m)^\+  replicas: 5$`} {
		if !regexp.MustCompile(p).MatchString(text) {
			t.Errorf("no %s in\n%s", p, text)
		}
	}
	out.Reset()
	if _, err := w.cli.DiffNamespace(t.Context(), &out, "default", cli.Span{From: fmt.Sprint(from)}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{`(?m)^--- configmaps/new \(not there at \d+\)$`, `(?m)^\+  k: v$`, `(?m)^\+  replicas: 5$`} {
		if !regexp.MustCompile(p).MatchString(out.String()) {
			t.Errorf("no %s in\n%s", p, out.String())
		}
	}
	// A revision to come, and words.
	for _, point := range []string{"1000000", "yesterday"} {
		if _, err := w.cli.Diff(t.Context(), &out, "deployment", "web", "default", cli.Span{From: point}); err == nil {
			t.Errorf("%s is a point", point)
		}
	}
	if differ, err := w.cli.Diff(t.Context(), &out, "deployment", "web", "default", cli.Span{From: "0s"}); err != nil || differ {
		t.Errorf("now differs from now: %v %v", differ, err)
	}
}

func TestRestore(t *testing.T) {
	w := newWorld(t)
	const configmaps = "/api/v1/namespaces/default/configmaps"
	w.do("POST", configmaps, "a", `{"metadata":{"name":"kept"},"data":{"k":"1"}}`)
	w.do("POST", configmaps, "a", `{"metadata":{"name":"gone","ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"nobody","uid":"u"}]},"data":{"k":"1"}}`)
	w.do("POST", configmaps, "a", `{"metadata":{"name":"same"},"data":{"k":"1"}}`)
	then := w.do("POST", deployments, "a", web)
	w.do("PATCH", configmaps+"/kept", "b", `{"data":{"k":"2","more":"3"}}`)
	w.do("DELETE", configmaps+"/gone", "b", "")
	w.do("PATCH", deployments+"/web", "b", `{"spec":{"replicas":0}}`)
	before := w.do("POST", configmaps, "b", `{"metadata":{"name":"newer"}}`)

	var out bytes.Buffer
	to := fmt.Sprint(then)
	if err := w.cli.RestoreNamespace(t.Context(), &out, "default", to, true); err != nil {
		t.Fatal(err)
	}
	plan := []string{`^configmaps/gone created anew`, `^configmaps/kept restored`, `^deployments.apps/web restored`, `^1 newer objects were left alone$`}
	want(t, out.String(), plan...)
	if rev, _ := w.st.Revision(); rev != before {
		t.Error("a dry run wrote something")
	}
	out.Reset()
	if err := w.cli.Restore(t.Context(), &out, "deploy", "web", "default", to, false); err != nil {
		t.Fatal(err)
	}
	want(t, out.String(), `^deployments.apps/web restored$`)
	out.Reset()
	if err := w.cli.RestoreNamespace(t.Context(), &out, "default", to, false); err != nil {
		t.Fatal(err)
	}
	want(t, out.String(), plan[0], plan[1], plan[3])
	// What is left of the difference is what is newer, and the owner that is no more.
	out.Reset()
	if _, err := w.cli.DiffNamespace(t.Context(), &out, "default", cli.Span{From: to}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{`configmaps/newer`, `(?m)^-  ownerReferences:$`} {
		if !regexp.MustCompile(p).MatchString(out.String()) {
			t.Errorf("no %s in\n%s", p, out.String())
		}
	}
	if text := out.String(); strings.Contains(text, "configmaps/kept") || strings.Contains(text, "replicas") || strings.Contains(text, "configmaps/same") {
		t.Errorf("unexpected difference:\n%s", text)
	}
	// Again: there is nothing to do.
	out.Reset()
	if err := w.cli.Restore(t.Context(), &out, "cm", "kept", "default", to, false); err != nil {
		t.Fatal(err)
	}
	want(t, out.String(), `^configmaps/kept is as it was$`)
	if err := w.cli.Restore(t.Context(), &out, "cm", "newer", "default", to, false); err == nil || !strings.Contains(err.Error(), "did not exist at revision") {
		t.Errorf("restored what was not there: %v", err)
	}
	out.Reset()
	if err := w.cli.History(t.Context(), &out, "cm", "kept", "default"); err != nil {
		t.Fatal(err)
	}
	want(t, out.String(), "REVISION", "created", `b \(Update\)\s+data.k: 1 → 2, data.more: none → 3`, `skiff-restore \(Update\)\s+data.k: 2 → 1, data.more: 3 → none`)
}
