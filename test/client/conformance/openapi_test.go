package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/skiff-k8s/skiff/test/client/instance"
)

// published is a kind's definition in the document of OpenAPI v2 without what every
// kind's definition has; nil when it is not there. It is asked for as upstream's suite
// does, with no Accept header.
func published(t *T, k kind) map[string]any {
	t.Helper()
	client, err := rest.HTTPClientFor(config)
	t.ok(err)
	q, err := http.NewRequestWithContext(t.ctx, http.MethodGet, config.Host+"/openapi/v2", nil)
	t.ok(err)
	a, err := client.Do(q)
	t.ok(err)
	defer a.Body.Close()
	var document struct{ Definitions map[string]json.RawMessage }
	t.ok(json.NewDecoder(a.Body).Decode(&document))
	t.want(strings.HasPrefix(a.Header.Get("ETag"), `"`), "the ETag is %s", a.Header.Get("ETag"))
	parts := strings.Split(k.Group, ".")
	slices.Reverse(parts)
	b := document.Definitions[strings.Join(parts, ".")+"."+k.Version+"."+k.Kind]
	if b == nil {
		return nil
	}
	var d map[string]any
	t.ok(json.Unmarshal(b, &d))
	t.want(d["x-kubernetes-group-version-kind"] != nil, "the definition does not tell its kind: %v", d)
	delete(d, "x-kubernetes-group-version-kind")
	if ps, is := d["properties"].(map[string]any); is {
		for _, p := range []string{"apiVersion", "kind", "metadata"} {
			delete(ps, p)
		}
		if len(ps) == 0 {
			delete(d, "properties")
		}
	}
	return d
}

// publishes waits until a kind's definition is this schema; nil: any.
func publishes(t *T, k kind, openapi map[string]any) {
	t.Helper()
	var d map[string]any
	defer func() {
		if t.Failed() {
			t.Logf("published %v, not %v", d, openapi)
		}
	}()
	t.eventually(k.Kind+" "+k.Version+" is published", func() bool {
		d = published(t, k)
		return d != nil && (openapi == nil || contains(d, openapi) && contains(openapi, d))
	})
}

// unpublished waits until a kind has no definition.
func unpublished(t *T, k kind) {
	t.Helper()
	t.eventually(k.Kind+" "+k.Version+" is not published", func() bool { return published(t, k) == nil })
}

// waldo is a schema with a description for everything.
var waldo = map[string]any{"type": "object", "description": "Foo CRD for Testing", "properties": map[string]any{
	"spec": map[string]any{"type": "object", "description": "Specification of Foo", "properties": map[string]any{
		"bars": map[string]any{"type": "array", "description": "List of Bars and their specs.", "items": map[string]any{"type": "object", "required": []any{"name"}, "properties": map[string]any{
			"name":    map[string]any{"type": "string", "description": "Name of Bar."},
			"age":     map[string]any{"type": "string", "description": "Age of Bar."},
			"feeling": map[string]any{"type": "string", "description": "Whether Bar is feeling great.", "enum": []any{"Great", "Down"}},
			"bazs":    map[string]any{"type": "array", "description": "List of Bazs.", "items": map[string]any{"type": "string"}},
		}}},
	}},
	"status": map[string]any{"type": "object", "description": "Status of Foo", "properties": map[string]any{"bars": map[string]any{"type": "array", "items": map[string]any{"type": "object", "properties": map[string]any{"name": map[string]any{"type": "string"}}}}}},
}}

// kubectl runs the kubectl that was built with the server.
func kubectl(t *T, input string, args ...string) (string, error) {
	t.Helper()
	bin := filepath.Join(instance.Bin(), "kubectl")
	if _, err := os.Stat(bin); err != nil {
		t.Skip("bin/kubectl is missing: run `make tools` first")
	}
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	args = append([]string{"--kubeconfig", kubeconfig, "--cache-dir", t.cache, "-n", t.ns}, args...)
	c := exec.CommandContext(ctx, bin, args...)
	c.Stdin = strings.NewReader(input)
	b, err := c.CombinedOutput()
	return string(b), err
}

func TestPublishedOpenAPI(t *testing.T) {
	text := func(k kind, spec string) string {
		return `{"kind":"` + k.Kind + `","apiVersion":"` + k.GroupVersion().String() + `","metadata":{"name":"test-foo"}` + spec + `}`
	}
	// accepted demands that kubectl creates and applies an object.
	accepted := func(t *T, k kind, spec string) {
		t.Helper()
		for _, verb := range []string{"create", "apply"} {
			out, err := kubectl(t, text(k, spec), verb, "--validate=true", "-f", "-")
			t.want(err == nil, "%s: %s", verb, out)
			t.ok(t.d.Resource(k.GroupVersionResource).Namespace(t.ns).Delete(t.ctx, "test-foo", metav1.DeleteOptions{}))
		}
	}
	refused := func(t *T, k kind, spec, why string) {
		t.Helper()
		for _, verb := range []string{"create", "apply"} {
			out, err := kubectl(t, text(k, spec), verb, "--validate=true", "-f", "-")
			t.want(err != nil && strings.Contains(out, why), "%s of %s: %s", verb, spec, out)
		}
	}
	explained := func(t *T, what string, words ...string) {
		t.Helper()
		out, err := kubectl(t, "", "explain", what)
		t.want(err == nil, "explain: %s", out)
		for _, w := range words {
			t.want(strings.Contains(out, w), "%q is not in %s", w, out)
		}
	}
	conform(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD with validation schema", func(t *T) {
		k := define(t, "Foo", "v1", waldo)
		publishes(t, k, waldo)
		accepted(t, k, `,"spec":{"bars":[{"name":"test-bar"}]}`)
		accepted(t, k, `,"spec":{"bars":[{"name":"test-bar","feeling":"Great"}]}`)
		refused(t, k, `,"spec":{"bars":[{"name":"test-bar","feeling":"NonExistentValue"}]}`, `Unsupported value: "NonExistentValue"`)
		refused(t, k, `,"spec":{"bars":[{"name":"test-bar","notDefined":true}]}`, `unknown field "spec.bars[0].notDefined"`)
		refused(t, k, `,"spec":{"bars":[{"age":"10"}]}`, "spec.bars[0].name: Required value")
		explained(t, k.Resource+"."+k.Group, "Foo CRD for Testing", "Specification of Foo", "<Object>")
		explained(t, k.Resource+"."+k.Group+".metadata", "Standard object's metadata", "creationTimestamp")
		explained(t, k.Resource+"."+k.Group+".spec.bars", "List of Bars and their specs.", "name", "-required-", "bazs", "<[]string>")
		out, err := kubectl(t, "", "explain", k.Resource+"."+k.Group+".spec.bars2")
		t.want(err != nil && strings.Contains(out, `field "bars2" does not exist`), "explained: %s", out)
	})
	conform(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD without validation schema", func(t *T) {
		k := define(t, "Empty", "v1", nil)
		publishes(t, k, map[string]any{"type": "object"})
		accepted(t, k, `,"a":{"b":[{"c":"d"}]}`)
		explained(t, k.Resource+"."+k.Group, "DESCRIPTION:", "<empty>")
	})
	conform(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD preserving unknown fields at the schema root", func(t *T) {
		k := define(t, "Unknown", "v1", map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": "preserve-unknown-properties at root", "properties": map[string]any{"spec": map[string]any{"type": "object"}}})
		publishes(t, k, nil)
		accepted(t, k, `,"a":{"b":[{"c":"d"}]}`)
		explained(t, k.Resource+"."+k.Group, "KIND:", k.Kind)
	})
	conform(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD preserving unknown fields in an embedded object", func(t *T) {
		embedded := map[string]any{"type": "object", "description": "preserve-unknown-properties in nested field for Testing", "properties": map[string]any{
			"spec":   map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
			"status": map[string]any{"type": "object", "properties": map[string]any{"dummy": map[string]any{"type": "string"}}}}}
		k := define(t, "Nested", "v1", embedded)
		publishes(t, k, nil)
		accepted(t, k, `,"spec":{"a":null,"b":[{"c":"d"}]}`)
		explained(t, k.Resource+"."+k.Group, "preserve-unknown-properties in nested field for Testing")
	})
	conform(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of different groups", func(t *T) {
		for _, k := range []kind{define(t, "Multi", "v1", waldo), define(t, "Multi", "v1", waldo)} {
			publishes(t, k, waldo)
		}
	})
	conform(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of same group but different versions", func(t *T) {
		k := defineAs(t, "Versions", name("crd")+".example.com", nil, versioned("v3", true, waldo), versioned("v2", false, waldo))
		publishes(t, k, waldo)
		publishes(t, k.in("v2"), waldo)
		group := name("crd") + ".example.com"
		publishes(t, defineAs(t, "Four", group, nil, versioned("v4", true, waldo)), waldo)
		publishes(t, defineAs(t, "Five", group, nil, versioned("v5", true, waldo)), waldo)
	})
	conform(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of same group and version but different kinds", func(t *T) {
		group := name("crd") + ".example.com"
		for _, n := range []string{"One", "Two"} {
			publishes(t, defineAs(t, n, group, nil, versioned("v6", true, waldo)), waldo)
		}
	})
	conform(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] updates the published spec when one version gets renamed", func(t *T) {
		k := defineAs(t, "Renamed", name("crd")+".example.com", nil, versioned("v2", true, waldo), versioned("v3", false, waldo))
		publishes(t, k.in("v3"), waldo)
		redefine(t, k, types.JSONPatchType, `[{"op":"test","path":"/spec/versions/1/name","value":"v3"},{"op":"replace","path":"/spec/versions/1/name","value":"v4"}]`)
		publishes(t, k.in("v4"), waldo)
		unpublished(t, k.in("v3"))
		publishes(t, k, waldo)
	})
	conform(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] removes definition from spec when one version gets changed to not be served", func(t *T) {
		k := defineAs(t, "Unserved", name("crd")+".example.com", nil, versioned("v5", true, waldo), versioned("v6alpha1", false, waldo))
		publishes(t, k.in("v6alpha1"), waldo)
		redefine(t, k, types.JSONPatchType, `[{"op":"replace","path":"/spec/versions/1/served","value":false}]`)
		unpublished(t, k.in("v6alpha1"))
		publishes(t, k, waldo)
		t.eventually("it is not served", func() bool {
			_, err := t.d.Resource(k.in("v6alpha1").GroupVersionResource).List(t.ctx, metav1.ListOptions{})
			return apierrors.IsNotFound(err)
		})
	})
}

func TestKubectl(t *testing.T) {
	conform(t, "[sig-cli] Kubectl client Kubectl api-versions should check if v1 is in available api versions", func(t *T) {
		out, err := kubectl(t, "", "api-versions")
		t.want(err == nil && slices.Contains(strings.Split(out, "\n"), "v1"), "%s", out)
	})
	conform(t, "[sig-cli] Kubectl client Kubectl cluster-info should check if Kubernetes control plane services is included in cluster-info", func(t *T) {
		out, err := kubectl(t, "", "cluster-info")
		t.want(err == nil && strings.Contains(out, "Kubernetes control plane") && strings.Contains(out, "is running at"), "%s", out)
	})
	conform(t, "[sig-cli] Kubectl client Kubectl version should check is all data is printed", func(t *T) {
		out, err := kubectl(t, "", "version")
		t.want(err == nil && strings.Contains(out, "Client Version:") && strings.Contains(out, "Server Version:"), "%s", out)
	})
	conform(t, "[sig-cli] Kubectl client Kubectl server-side dry-run should check if kubectl can dry-run update Pods", func(t *T) {
		out, err := kubectl(t, "", "run", "dry", "--image=registry.k8s.io/a", "--labels=run=dry")
		t.want(err == nil, "%s", out)
		out, err = kubectl(t, "", "patch", "pod", "dry", "-p", `{"spec":{"containers":[{"name":"dry","image":"registry.k8s.io/b"}]}}`, "--dry-run=server")
		t.want(err == nil, "%s", out)
		p, err := t.c.CoreV1().Pods(t.ns).Get(t.ctx, "dry", metav1.GetOptions{})
		t.ok(err)
		t.want(p.Spec.Containers[0].Image == "registry.k8s.io/a", "%s", p.Spec.Containers[0].Image)
	})
	conform(t, "[sig-cli] Kubectl client Kubectl diff should check if kubectl diff finds a difference for Deployments", func(t *T) {
		text := `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {selector: {matchLabels: {app: a}}, template: ` + template + `}}`
		out, err := kubectl(t, text, "create", "-f", "-")
		t.want(err == nil, "%s", out)
		out, err = kubectl(t, strings.Replace(text, "registry.k8s.io/pause", "busybox", 1), "diff", "-f", "-")
		t.want(err != nil && strings.Contains(out, "-      - image: registry.k8s.io/pause") && strings.Contains(out, "+      - image: busybox"), "%s", out)
	})
	conform(t, "[sig-cli] Kubectl client Kubectl label should update the label on a resource", func(t *T) {
		_, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, pod("pause", t.ns), metav1.CreateOptions{})
		t.ok(err)
		for _, step := range []struct{ change, shown string }{{"testing-label=testing-label-value", "testing-label-value"}, {"testing-label-", ""}} {
			out, err := kubectl(t, "", "label", "pods", "pause", step.change)
			t.want(err == nil, "%s", out)
			out, err = kubectl(t, "", "get", "pod", "pause", "-L", "testing-label", "--no-headers")
			t.want(err == nil && strings.HasSuffix(strings.TrimSpace(out), step.shown) && (step.shown != "" || !strings.Contains(out, "value")), "%s", out)
		}
	})
	for what, flags := range map[string][]string{"[sig-cli] Kubectl client Proxy server should support proxy with --port 0": {"--port=0"}, "[sig-cli] Kubectl client Proxy server should support --unix-socket=/path": nil} {
		conform(t, what, func(t *T) {
			network, socket := "tcp", ""
			if flags == nil {
				network, socket = "unix", filepath.Join(t.cache, "proxy.sock")
				flags = []string{"--unix-socket=" + socket}
			}
			c := exec.CommandContext(t.ctx, filepath.Join(instance.Bin(), "kubectl"), append([]string{"--kubeconfig", kubeconfig, "proxy"}, flags...)...)
			out, err := c.StdoutPipe()
			t.ok(err)
			if err := c.Start(); err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() {
				_ = c.Process.Kill()
				_ = c.Wait()
			})
			line, err := bufio.NewReader(out).ReadString('\n')
			t.ok(err)
			at := strings.TrimSpace(line[strings.LastIndex(line, " "):])
			t.want(network == "tcp" || at == socket, "%s", line)
			client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, at)
			}}}
			a, err := client.Get("http://localhost/api/")
			t.ok(err)
			defer a.Body.Close()
			var versions metav1.APIVersions
			t.ok(json.NewDecoder(a.Body).Decode(&versions))
			t.want(len(versions.Versions) > 0, "%+v", versions)
		})
	}
	conform(t, "[sig-cli] Kubectl client Kubectl expose and replace", func(t *T) {
		out, err := kubectl(t, "", "run", "agnhost", "--image=registry.k8s.io/a", "--port=6379", "--labels=app=agnhost")
		t.want(err == nil, "%s", out)
		out, err = kubectl(t, "", "expose", "pod", "agnhost", "--name=rm2", "--port=1234", "--target-port=6379")
		t.want(err == nil, "%s", out)
		out, err = kubectl(t, "", "expose", "service", "rm2", "--name=rm3", "--port=2345", "--target-port=6379")
		t.want(err == nil, "%s", out)
		s, err := t.c.CoreV1().Services(t.ns).Get(t.ctx, "rm3", metav1.GetOptions{})
		t.ok(err)
		t.want(s.Spec.Ports[0].Port == 2345 && s.Spec.Ports[0].TargetPort.IntVal == 6379 && s.Spec.Selector["app"] == "agnhost", "%+v", s.Spec)
		out, err = kubectl(t, "", "get", "pod", "agnhost", "-o", "json")
		t.want(err == nil, "%s", out)
		out, err = kubectl(t, strings.ReplaceAll(out, "registry.k8s.io/a", "registry.k8s.io/b"), "replace", "-f", "-")
		t.want(err == nil, "%s", out)
	})
}
