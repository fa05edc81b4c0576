package conformance

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

var definitions = gvr("apiextensions.k8s.io", "v1", "customresourcedefinitions")

// kind is a kind that a test defines.
type kind struct {
	schema.GroupVersionResource
	// Kind is the kind's name and Definition that of its definition.
	Kind, Definition string
}

// in is the kind in another version.
func (k kind) in(version string) kind {
	k.Version = version
	return k
}

// anything is a schema that takes all.
var anything = map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}

// versioned is a version of a definition.
func versioned(name string, storage bool, openapi map[string]any) map[string]any {
	if openapi == nil {
		openapi = anything
	}
	return map[string]any{"name": name, "served": true, "storage": storage, "schema": map[string]any{"openAPIV3Schema": openapi}}
}

// define defines a kind of one version in a group of the test's own and waits until it is served.
func define(t *T, prefix, version string, openapi map[string]any) kind {
	t.Helper()
	return defineAs(t, prefix, name("crd")+".example.com", nil, versioned(version, true, openapi))
}

func definition(prefix, group string, labels map[string]any, versions ...map[string]any) *unstructured.Unstructured {
	plural := strings.ToLower(prefix) + "s"
	all := make([]any, len(versions))
	for i, v := range versions {
		all[i] = v
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + "." + group, "labels": labels},
		"spec": map[string]any{"group": group, "scope": "Namespaced", "versions": all,
			"names": map[string]any{"plural": plural, "singular": strings.ToLower(prefix), "kind": prefix, "listKind": prefix + "List"}},
	}}
}

func defineAs(t *T, prefix, group string, more map[string]any, versions ...map[string]any) kind {
	t.Helper()
	d := definition(prefix, group, nil, versions...)
	for k, v := range more {
		d.Object["spec"].(map[string]any)[k] = v
	}
	_, err := t.d.Resource(definitions).Create(t.ctx, d, metav1.CreateOptions{})
	t.ok(err)
	t.Cleanup(func() { _ = t.d.Resource(definitions).Delete(t.Context(), d.GetName(), metav1.DeleteOptions{}) })
	k := kind{gvr(group, versions[0]["name"].(string), strings.ToLower(prefix)+"s"), prefix, d.GetName()}
	served(t, k)
	return k
}

// served waits until a kind's objects can be listed.
func served(t *T, k kind) {
	t.Helper()
	t.eventually(k.Definition+" is served", func() bool {
		u, err := t.d.Resource(definitions).Get(t.ctx, k.Definition, metav1.GetOptions{})
		t.ok(err)
		cs, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		for _, c := range cs {
			if c := c.(map[string]any); c["type"] == "Established" && c["status"] == "True" {
				_, err := t.d.Resource(k.GroupVersionResource).List(t.ctx, metav1.ListOptions{})
				return err == nil
			}
		}
		return false
	})
}

// custom is an object of a kind.
func custom(k kind, name string, fields map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": k.GroupVersion().String(), "kind": k.Kind, "metadata": map[string]any{"name": name}}}
	for f, v := range fields {
		u.Object[f] = v
	}
	return u
}

func redefine(t *T, k kind, kind types.PatchType, patch string) {
	t.Helper()
	_, err := t.d.Resource(definitions).Patch(t.ctx, k.Definition, kind, []byte(patch), metav1.PatchOptions{})
	t.ok(err)
}

func TestDefinitions(t *testing.T) {
	conform(t, "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition creating/deleting custom resource definition objects works", func(t *T) {
		k := define(t, "Simple", "v1", nil)
		t.ok(t.d.Resource(definitions).Delete(t.ctx, k.Definition, metav1.DeleteOptions{}))
		t.eventually("the definition is gone", func() bool {
			_, err := t.d.Resource(definitions).Get(t.ctx, k.Definition, metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
		t.eventually("the kind is gone", func() bool {
			_, err := t.d.Resource(k.GroupVersionResource).List(t.ctx, metav1.ListOptions{})
			return apierrors.IsNotFound(err)
		})
	})
	conform(t, "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition listing custom resource definition objects works", func(t *T) {
		label := name("list")
		api := t.d.Resource(definitions)
		for range 10 {
			_, err := api.Create(t.ctx, definition("Listed", name("list")+".example.com", map[string]any{"e2e-list-test-uuid": label}, versioned("v1", true, nil)), metav1.CreateOptions{})
			t.ok(err)
		}
		kept := define(t, "Kept", "v1", nil)
		selected := metav1.ListOptions{LabelSelector: "e2e-list-test-uuid=" + label}
		list, err := api.List(t.ctx, selected)
		t.ok(err)
		t.want(len(list.Items) == 10, "%d definitions", len(list.Items))
		t.ok(api.DeleteCollection(t.ctx, metav1.DeleteOptions{}, selected))
		t.eventually("the definitions are gone", func() bool {
			list, err := api.List(t.ctx, selected)
			t.ok(err)
			return len(list.Items) == 0
		})
		_, err = api.Get(t.ctx, kept.Definition, metav1.GetOptions{})
		t.ok(err)
	})
	conform(t, "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition getting/updating/patching custom resource definition status sub-resource works", func(t *T) {
		k := define(t, "Status", "v1", nil)
		api := t.d.Resource(definitions)
		u, err := api.Get(t.ctx, k.Definition, metav1.GetOptions{}, "status")
		t.ok(err)
		condition := func(u *unstructured.Unstructured, wanted string) bool {
			cs, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
			for _, c := range cs {
				if c.(map[string]any)["type"] == wanted {
					return true
				}
			}
			return false
		}
		add := func(u *unstructured.Unstructured, wanted string) {
			cs, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
			cs = append(cs, map[string]any{"type": wanted, "status": "True", "reason": "E2E", "message": "Set by an e2e test"})
			t.ok(unstructured.SetNestedSlice(u.Object, cs, "status", "conditions"))
		}
		for {
			add(u, "StatusUpdateE2E")
			if u, err = api.UpdateStatus(t.ctx, u, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
				t.ok(err)
				break
			}
			u, err = api.Get(t.ctx, k.Definition, metav1.GetOptions{})
			t.ok(err)
		}
		t.want(condition(u, "StatusUpdateE2E"), "%v", u.Object["status"])
		u, err = api.Patch(t.ctx, k.Definition, types.MergePatchType, []byte(`{"metadata":{"annotations":{"a":"b"}},"status":{"conditions":[{"type":"StatusPatched","status":"True","reason":"E2E","message":"patched"}]}}`), metav1.PatchOptions{}, "status")
		t.ok(err)
		t.want(condition(u, "StatusPatched") && u.GetAnnotations()["a"] == "", "%v", u.Object)
	})
	conform(t, "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] custom resource defaulting for requests and from storage works", func(t *T) {
		schema := map[string]any{"type": "object", "properties": map[string]any{"a": map[string]any{"type": "string"}, "b": map[string]any{"type": "string"}}}
		k := define(t, "Default", "v1", schema)
		api := t.d.Resource(k.GroupVersionResource).Namespace(t.ns)
		_, err := api.Create(t.ctx, custom(k, "one", nil), metav1.CreateOptions{})
		t.ok(err)
		redefine(t, k, types.JSONPatchType, `[{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/a/default","value":"A"}]`)
		t.eventually("what is stored is defaulted", func() bool {
			u, err := api.Get(t.ctx, "one", metav1.GetOptions{})
			t.ok(err)
			return u.Object["a"] == "A"
		})
		u, err := api.Create(t.ctx, custom(k, "two", nil), metav1.CreateOptions{})
		t.ok(err)
		t.want(u.Object["a"] == "A" && u.Object["b"] == nil, "%v", u.Object)
		redefine(t, k, types.JSONPatchType, `[{"op":"remove","path":"/spec/versions/0/schema/openAPIV3Schema/properties/a/default"},{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/b/default","value":"B"}]`)
		t.eventually("the new default is there, the old stays", func() bool {
			u, err := api.Get(t.ctx, "two", metav1.GetOptions{})
			t.ok(err)
			one, err := api.Get(t.ctx, "one", metav1.GetOptions{})
			t.ok(err)
			return u.Object["b"] == "B" && u.Object["a"] == "A" && one.Object["a"] == nil && one.Object["b"] == "B"
		})
	})
	conform(t, "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] should include custom resource definition resources in discovery documents", func(t *T) {
		discovered(t, life{group: "apiextensions.k8s.io", version: "v1", resource: "customresourcedefinitions", cluster: true, status: "{}"})
	})
	conform(t, "[sig-api-machinery] CustomResourceDefinition Watch [Privileged:ClusterAdmin] CustomResourceDefinition Watch watch on custom resource definition objects", func(t *T) {
		k := define(t, "Watched", "v1", nil)
		api := t.d.Resource(k.GroupVersionResource).Namespace(t.ns)
		w, err := api.Watch(t.ctx, metav1.ListOptions{})
		t.ok(err)
		defer w.Stop()
		for _, n := range []string{"a", "b"} {
			_, err = api.Create(t.ctx, custom(k, n, map[string]any{"content": map[string]any{"key": "value"}}), metav1.CreateOptions{})
			t.ok(err)
			t.event(w, watch.Added, func(o metav1.Object) bool { return o.GetName() == n })
			_, err = api.Patch(t.ctx, n, types.MergePatchType, []byte(`{"metadata":{"labels":{"x":"y"}}}`), metav1.PatchOptions{})
			t.ok(err)
			t.event(w, watch.Modified, func(o metav1.Object) bool { return o.GetName() == n && o.GetLabels()["x"] == "y" })
			t.ok(api.Delete(t.ctx, n, metav1.DeleteOptions{}))
			t.event(w, watch.Deleted, func(o metav1.Object) bool { return o.GetName() == n })
		}
	})
	conform(t, "[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery request for CRDs", func(t *T) {
		k := define(t, "Discovered", "v1", nil)
		t.eventually("the kind is in /apis", func() bool {
			b, _, err := t.raw("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
			t.ok(err)
			return inDiscovery(t, b)[k.Group+"/v1/"+k.Resource]
		})
	})
}
