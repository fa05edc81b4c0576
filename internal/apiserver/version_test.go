package apiserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

const (
	oldDeployments = "/apis/extensions/v1beta1/namespaces/default/deployments"
	newDeployments = "/apis/apps/v1/namespaces/default/deployments"
)

// versionServer is a server with a namespace, and how an administrator asks it.
func versionServer(t *testing.T, o Options) func(method, url, accept, contentType string, body []byte) *httptest.ResponseRecorder {
	ctx, cancel := context.WithCancel(t.Context())
	st := mem.New()
	o.Store, o.Log = st, slog.New(slog.NewTextHandler(io.Discard, nil))
	s, err := New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; st.Close() })
	if _, err := client.Create(ctx, s.Client(auth.System), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
		t.Fatal(err)
	}
	return func(method, url, accept, contentType string, body []byte) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, url, bytes.NewReader(body))
		r.Header.Set("Accept", accept)
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "admin", Organization: []string{auth.GroupMasters}}}}}}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
}

func oldDeployment(name string) *extensionsv1beta1.Deployment {
	return &extensionsv1beta1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: extensionsv1beta1.DeploymentSpec{
		RollbackTo: &extensionsv1beta1.RollbackConfig{Revision: 4},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}}}
}

// TestVersionProtobuf speaks extensions/v1beta1 in protobuf: objects, lists, events of watches.
func TestVersionProtobuf(t *testing.T) {
	ask := versionServer(t, Options{})
	gvk := extensionsv1beta1.SchemeGroupVersion.WithKind("Deployment")
	body, _, err := envelope(gvk, oldDeployment("a"))
	if err != nil {
		t.Fatal(err)
	}
	w := ask("POST", oldDeployments, mediaProtobuf, mediaProtobuf, body)
	if w.Code != http.StatusCreated {
		t.Fatal(w.Code, w.Body)
	}
	var made extensionsv1beta1.Deployment
	message(t, w.Body.Bytes(), "extensions/v1beta1, Kind=Deployment", &made)
	if made.Spec.RollbackTo == nil || made.Spec.RollbackTo.Revision != 4 || *made.Spec.Strategy.RollingUpdate.MaxSurge != *made.Spec.Strategy.RollingUpdate.MaxUnavailable {
		t.Errorf("made %v", made.Spec)
	}

	w = ask("GET", oldDeployments, mediaProtobuf, "", nil)
	var list extensionsv1beta1.DeploymentList
	message(t, w.Body.Bytes(), "extensions/v1beta1, Kind=DeploymentList", &list)
	if len(list.Items) != 1 || list.Items[0].UID != made.UID || list.Items[0].ResourceVersion != made.ResourceVersion || list.ResourceVersion == "" {
		t.Errorf("listed %v", list)
	}

	w = ask("GET", oldDeployments+"?watch=true&resourceVersion=0&timeoutSeconds=1", mediaProtobuf, "", nil)
	b := w.Body.Bytes()
	if len(b) < 4 || len(b) < 4+int(binary.BigEndian.Uint32(b)) {
		t.Fatalf("no event: %q", b)
	}
	var e metav1.WatchEvent
	if err := e.Unmarshal(b[4 : 4+binary.BigEndian.Uint32(b)]); err != nil || e.Type != "ADDED" {
		t.Fatal(e.Type, err)
	}
	var seen extensionsv1beta1.Deployment
	message(t, e.Object.Raw, "extensions/v1beta1, Kind=Deployment", &seen)
	if seen.UID != made.UID || seen.ResourceVersion != made.ResourceVersion {
		t.Errorf("watched %v", seen)
	}

	// Sent back as it came, it is what it was.
	body, _, _ = envelope(gvk, &seen)
	w = ask("PUT", oldDeployments+"/a", mediaProtobuf, mediaProtobuf, body)
	var again extensionsv1beta1.Deployment
	message(t, w.Body.Bytes(), "extensions/v1beta1, Kind=Deployment", &again)
	if again.ResourceVersion != made.ResourceVersion {
		t.Errorf("written anew: %s, was %s", again.ResourceVersion, made.ResourceVersion)
	}
}

func message(t *testing.T, b []byte, kind string, into protoMessage) {
	t.Helper()
	gvk, raw, err := open(b)
	if err == nil {
		err = into.Unmarshal(raw)
	}
	if err != nil || gvk.String() != kind {
		t.Fatalf("%s, %v: %q", gvk, err, b)
	}
}

// TestVersionForms asks for the other forms of answers.
func TestVersionForms(t *testing.T) {
	ask := versionServer(t, Options{})
	yaml := `
apiVersion: extensions/v1beta1
kind: Deployment
metadata: {name: old}
spec:
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: i}]}
`
	if w := ask("POST", oldDeployments, mediaYAML, mediaYAML, []byte(yaml)); w.Code != http.StatusCreated || !strings.Contains(w.Body.String(), "apiVersion: extensions/v1beta1\n") {
		t.Fatal(w.Code, w.Body)
	}
	table := "application/json;as=Table;g=meta.k8s.io;v=v1"
	partial := "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	for _, c := range []struct{ url, accept, want string }{
		{oldDeployments + "?includeObject=Object", table, `"object":{"kind":"Deployment","apiVersion":"extensions/v1beta1"`},
		{oldDeployments + "/old?includeObject=Object", table, `"object":{"kind":"Deployment","apiVersion":"extensions/v1beta1"`},
		{oldDeployments + "?watch=1&resourceVersion=0&timeoutSeconds=1&includeObject=Object", table, `"object":{"kind":"Deployment","apiVersion":"extensions/v1beta1"`},
		{newDeployments + "?includeObject=Object", table, `"object":{"kind":"Deployment","apiVersion":"apps/v1"`},
		{oldDeployments + "/old", partial, `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"old"`},
		{oldDeployments, strings.Replace(partial, "Metadata;", "MetadataList;", 1), `"name":"old"`},
		{oldDeployments + "?limit=1", "application/yaml", "apiVersion: extensions/v1beta1\n"},
	} {
		w := ask("GET", c.url, c.accept, "", nil)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s as %s: %d, no %s in %s", c.url, c.accept, w.Code, c.want, w.Body)
		}
		if old := strings.HasPrefix(c.url, oldDeployments); old != (w.Header().Get("Warning") != "") {
			t.Errorf("%s: warning %q", c.url, w.Header().Get("Warning"))
		}
	}
}

// TestNoOldVersions: without old versions, those remain that are as current as the stored ones.
func TestNoOldVersions(t *testing.T) {
	ask := versionServer(t, Options{NoOldVersions: true})
	for url, code := range map[string]int{
		oldDeployments: 404, "/apis/extensions": 404, "/apis/apps/v1beta1": 404, "/apis/batch/v1beta1/cronjobs": 404,
		newDeployments: 200, "/apis/autoscaling/v1": 200, "/apis/autoscaling/v1/horizontalpodautoscalers": 200,
		"/apis/events.k8s.io/v1/events": 200, "/apis/events.k8s.io/v1beta1/events": 404,
		"/apis/autoscaling/v2beta1": 404, "/apis/autoscaling/v2beta2/horizontalpodautoscalers": 404, "/apis/autoscaling/v2/horizontalpodautoscalers": 200,
	} {
		if w := ask("GET", url, mediaJSON, "", nil); w.Code != code {
			t.Errorf("%s: %d, not %d", url, w.Code, code)
		}
	}
	for _, accept := range []string{mediaJSON, "application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2"} {
		groups := ask("GET", "/apis", accept, "", nil).Body.String()
		for _, gone := range []string{"extensions", "v1beta1", "v2beta1", "v2beta2"} {
			if strings.Contains(groups, `"`+gone+`"`) || strings.Contains(groups, "/"+gone) {
				t.Errorf("discovery still has %s: %s", gone, groups)
			}
		}
		if !strings.Contains(groups, "autoscaling") || !strings.Contains(groups, "events.k8s.io") {
			t.Errorf("discovery lacks current versions: %s", groups)
		}
	}
}
