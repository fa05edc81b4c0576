package manifest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/apiserver"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

// A cluster is an API server in memory, with what every namespace has.
type cluster struct {
	server *apiserver.Server
	found  map[string]*metav1.APIResourceList // discovery by path
	mu     sync.Mutex
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	st := mem.New()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := apiserver.New(ctx, apiserver.Options{Store: st, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		st.Close()
	})
	c := &cluster{server: s, found: map[string]*metav1.APIResourceList{}}
	c.namespace(t, "default")
	return c
}

func (c *cluster) namespace(t testing.TB, name string) {
	t.Helper()
	ctx, cl := context.Background(), c.server.Client(auth.System)
	if _, err := client.Create(ctx, cl, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Create(ctx, cl, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: name}}); err != nil {
		t.Fatal(err)
	}
}

// An answer is what the server gave.
type answer struct {
	code     int
	body     []byte
	tree     any // the body as JSON
	warnings []string
}

// ask makes one request as the administrator.
func (c *cluster) ask(method, url, contentType string, body []byte) answer {
	r := httptest.NewRequest(method, url, bytes.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "kubernetes-admin", Organization: []string{"system:masters"}}}
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
	w := httptest.NewRecorder()
	c.server.ServeHTTP(w, r)
	a := answer{code: w.Code, body: w.Body.Bytes()}
	a.tree, _ = decode(a.body)
	for _, h := range w.Header().Values("Warning") {
		if text, err := strconv.Unquote(strings.TrimPrefix(h, "299 - ")); err == nil {
			a.warnings = append(a.warnings, oneLine(text))
		} else {
			a.warnings = append(a.warnings, h)
		}
	}
	return a
}

// served tells whether discovery lists a kind, and where its collection is.
func (c *cluster) served(apiVersion, kind, namespace string) (string, bool) {
	root := "/apis/" + apiVersion
	if !strings.Contains(apiVersion, "/") {
		root = "/api/" + apiVersion
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.found[root]
	if list == nil {
		list = &metav1.APIResourceList{}
		if a := c.ask("GET", root, "", nil); a.code == 200 && json.Unmarshal(a.body, list) != nil {
			return "", false
		}
		c.found[root] = list
	}
	for _, r := range list.APIResources {
		if r.Kind != kind || strings.Contains(r.Name, "/") {
			continue
		}
		if !r.Namespaced {
			return root + "/" + r.Name, true
		}
		if namespace == "" {
			namespace = "default"
		}
		return root + "/namespaces/" + namespace + "/" + r.Name, true
	}
	return "", false
}

// causes are "field: type: message" of a refusal, sorted.
func (a answer) causes() []string {
	var out []string
	list, _ := get(a.tree, []string{"details", "causes"})
	causes, _ := list.([]any)
	for _, c := range causes {
		m, _ := c.(map[string]any)
		if reason := fmt.Sprint(m["reason"]); strings.HasPrefix(reason, "FieldValue") || strings.HasPrefix(reason, "FieldType") {
			field, _ := m["field"].(string)
			out = append(out, oneLine(fmt.Sprintf("%s: %s: %s", field, reason, m["message"])))
		}
	}
	slices.Sort(out)
	return out
}

var uid = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// oneLine lets a text of several lines be one line of an outcome, the same one each time.
func oneLine(s string) string {
	return uid.ReplaceAllString(strings.TrimSpace(strings.ReplaceAll(s, "\n", " ")), "<uid>")
}

func (a answer) message() string {
	if v, _ := get(a.tree, []string{"kind"}); v != "Status" {
		return ""
	}
	m, _ := get(a.tree, []string{"message"})
	s, _ := m.(string)
	return oneLine(s)
}

// A target is the object that the steps of a case are about.
type target struct {
	collection, name string
	apiVersion, kind string
}

func (t target) url(sub string) string {
	u := t.collection + "/" + t.name
	if sub != "" {
		u += "/" + sub
	}
	return u
}

var patches = map[string]string{
	"merge": "application/merge-patch+json", "strategic": "application/strategic-merge-patch+json",
	"json": "application/json-patch+json", "apply": "application/apply-patch+yaml",
}

const strict = "fieldValidation=Strict"

// do carries out a step on the object that at names; a create makes at name another one.
func (c *cluster) do(s *step, bases map[string]*step, at *target) (answer, error) {
	switch s.verb {
	case "create":
		body, err := s.manifest(bases)
		if err != nil {
			return answer{}, err
		}
		return c.create(body, at)
	case "put":
		body, err := decodeYAML(s.body)
		if err != nil {
			return answer{}, err
		}
		return c.send("PUT", at.url("")+"?"+strict, "application/json", body)
	case "update", "status":
		sub := s.sub
		if s.verb == "status" {
			sub = "status"
		}
		a := c.ask("GET", at.url(sub), "", nil)
		if a.code != 200 {
			return a, fmt.Errorf("GET %s: %d", at.url(sub), a.code)
		}
		body, err := edit(a.tree, s.body)
		if err != nil {
			return a, err
		}
		return c.send("PUT", at.url(sub)+"?"+strict, "application/json", body)
	case "merge", "strategic", "json", "apply":
		body, err := decodeYAML(s.body)
		if err != nil {
			return answer{}, err
		}
		if m, ok := body.(map[string]any); ok && s.verb == "apply" {
			m["apiVersion"], m["kind"] = at.apiVersion, at.kind
			_, err = set(m, []string{"metadata", "name"}, at.name)
		}
		if err != nil {
			return answer{}, err
		}
		return c.send("PATCH", at.url(s.sub)+"?fieldManager=corpus&"+strict, patches[s.verb], body)
	case "post":
		body, err := decodeYAML(s.body)
		if err != nil {
			return answer{}, err
		}
		return c.send("POST", at.url(s.sub), "application/json", body)
	case "delete":
		return c.ask("DELETE", at.url(""), "application/yaml", []byte(strings.TrimSpace(s.body))), nil
	case "get":
		return c.ask("GET", at.url(s.sub), "", nil), nil
	}
	return answer{}, fmt.Errorf("no verb %q", s.verb)
}

// manifest is the object that a create sends.
func (s *step) manifest(bases map[string]*step) (any, error) {
	if s.from == "" {
		return decodeYAML(s.body)
	}
	base := bases[s.from]
	if base == nil {
		return nil, fmt.Errorf("no case %q to start from", s.from)
	}
	tree, err := base.manifest(bases)
	if err != nil {
		return nil, err
	}
	return edit(tree, s.body)
}

func (c *cluster) create(body any, at *target) (answer, error) {
	var meta metav1.PartialObjectMetadata
	text := func(path ...string) string {
		v, _ := get(body, path)
		s, _ := v.(string)
		return s
	}
	meta.APIVersion, meta.Kind = text("apiVersion"), text("kind")
	ns := text("metadata", "namespace")
	collection, ok := c.served(meta.APIVersion, meta.Kind, ns)
	if !ok {
		return answer{}, fmt.Errorf("%s %s is not served", meta.APIVersion, meta.Kind)
	}
	*at = target{collection, text("metadata", "name"), meta.APIVersion, meta.Kind}
	a, err := c.send("POST", collection+"?"+strict, "application/json", body)
	if v, _ := get(a.tree, []string{"metadata", "name"}); a.code == http.StatusCreated && at.name == "" {
		at.name, _ = v.(string)
	}
	return a, err
}

func (c *cluster) send(method, url, contentType string, body any) (answer, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	return c.ask(method, url, contentType, b), nil
}
