package clientgo

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
)

var (
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	kites       = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "kites"}
)

// kite is an object of the kind that the tests here define.
func kite(name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Kite", "metadata": map[string]any{"name": name}, "spec": spec,
	}}
}

// kiteVersion is a version whose spec has the named properties, all strings.
func kiteVersion(name string, storage bool, properties ...string) map[string]any {
	props := map[string]any{}
	for _, p := range properties {
		props[p] = map[string]any{"type": "string"}
	}
	return map[string]any{
		"name": name, "served": true, "storage": storage,
		"schema": map[string]any{"openAPIV3Schema": map[string]any{
			"type": "object", "properties": map[string]any{"spec": map[string]any{"type": "object", "properties": props}},
		}},
	}
}

func define(ctx context.Context, t *testing.T, d dynamic.Interface, versions ...any) {
	t.Helper()
	_, err := d.Resource(definitions).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "kites.example.com"},
		"spec": map[string]any{
			"group": "example.com", "scope": "Namespaced",
			"names":    map[string]any{"plural": "kites", "kind": "Kite"},
			"versions": versions,
		},
	}}, metav1.CreateOptions{})
	check(t, err)
	established(ctx, t, d)
}

func established(ctx context.Context, t *testing.T, d dynamic.Interface) {
	t.Helper()
	eventually(t, "the definition is established", func() bool {
		crd, err := d.Resource(definitions).Get(ctx, "kites.example.com", metav1.GetOptions{})
		check(t, err)
		conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
		for _, c := range conditions {
			if c := c.(map[string]any); c["type"] == "Established" && c["status"] == "True" {
				return true
			}
		}
		return false
	})
}

func redefine(ctx context.Context, t *testing.T, d dynamic.Interface, patch string) {
	t.Helper()
	_, err := d.Resource(definitions).Patch(ctx, "kites.example.com", types.JSONPatchType, []byte(patch), metav1.PatchOptions{})
	check(t, err)
}

// An informer of a custom resource outlives changes of its definition: the watch
// ends and comes back, and nothing is missed.
func TestRedefined(t *testing.T) {
	_, cfg := start(t)
	ctx := ctx(t)
	d, err := dynamic.NewForConfig(cfg)
	check(t, err)
	define(ctx, t, d, kiteVersion("v1", true, "colour"))
	var asked requests
	informed, err := dynamic.NewForConfig(asked.wrap(cfg))
	check(t, err)
	f := dynamicinformer.NewDynamicSharedInformerFactory(informed, 0)
	i := f.ForResource(kites).Informer()
	var l log
	_, err = i.AddEventHandler(l.handler())
	check(t, err)
	// Errors of watches are expected here; the reflector tries again by itself.
	f.Start(ctx.Done())
	api := d.Resource(kites).Namespace("default")
	create := func(name string) {
		t.Helper()
		// A definition that was changed a moment ago is about to be served.
		eventually(t, name+" is created", func() bool {
			_, err := api.Create(ctx, kite(name, map[string]any{"colour": "red", "tail": "long"}), metav1.CreateOptions{})
			if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsServiceUnavailable(err) && !apierrors.IsMethodNotSupported(err) {
				t.Fatal(err)
			}
			return err == nil
		})
		eventually(t, name+" is seen", func() bool { return l.has("add " + name) })
	}
	tail := func(name string) string {
		o, ok, err := i.GetStore().GetByKey("default/" + name)
		check(t, err)
		if !ok {
			return ""
		}
		s, _, _ := unstructured.NestedString(o.(*unstructured.Unstructured).Object, "spec", "tail")
		return s
	}
	watches := func() int {
		return len(asked.find(func(s seen) bool {
			return strings.HasSuffix(s.path, "/kites") && strings.Contains(s.query, "watch=true")
		}))
	}
	create("plain")
	if tail("plain") != "" {
		t.Error("a field that the schema does not have is kept")
	}

	// A property more: it is kept from now on, and the informer sees it.
	before := watches()
	redefine(ctx, t, d, `[{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/tail","value":{"type":"string","default":"short"}}]`)
	eventually(t, "the watch comes back", func() bool { return watches() > before })
	eventually(t, "the new schema is served", func() bool {
		o, err := api.Get(ctx, "plain", metav1.GetOptions{})
		check(t, err)
		s, _, _ := unstructured.NestedString(o.Object, "spec", "tail")
		return s == "short"
	})
	create("tailed")
	eventually(t, "its tail is seen", func() bool { return tail("tailed") == "long" })

	// Another version, stored from now on: the same objects, readable in both.
	redefine(ctx, t, d, `[{"op":"add","path":"/spec/versions/1","value":{"name":"v2","served":true,"storage":false,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}]`)
	redefine(ctx, t, d, `[{"op":"replace","path":"/spec/versions/0/storage","value":false},{"op":"replace","path":"/spec/versions/1/storage","value":true}]`)
	create("stored")
	v2 := kites.GroupResource().WithVersion("v2")
	eventually(t, "all are readable in the other version", func() bool {
		list, err := d.Resource(v2).Namespace("default").List(ctx, metav1.ListOptions{})
		return err == nil && len(list.Items) == 3 && list.Items[0].GetAPIVersion() == "example.com/v2"
	})
	crd, err := d.Resource(definitions).Get(ctx, "kites.example.com", metav1.GetOptions{})
	check(t, err)
	if stored, _, _ := unstructured.NestedStringSlice(crd.Object, "status", "storedVersions"); strings.Join(stored, " ") != "v1 v2" {
		t.Errorf("stored versions: %v", stored)
	}

	// Not served for a while.
	redefine(ctx, t, d, `[{"op":"replace","path":"/spec/versions/0/served","value":false}]`)
	eventually(t, "it is no longer served", func() bool {
		_, err := api.List(ctx, metav1.ListOptions{})
		return apierrors.IsNotFound(err)
	})
	redefine(ctx, t, d, `[{"op":"replace","path":"/spec/versions/0/served","value":true}]`)
	create("again")

	// Gone with all its objects, and there again.
	check(t, d.Resource(definitions).Delete(ctx, "kites.example.com", metav1.DeleteOptions{}))
	eventually(t, "the deletions are seen", func() bool { return l.has("delete plain") && l.has("delete again") })
	eventually(t, "the definition is gone", func() bool {
		_, err := d.Resource(definitions).Get(ctx, "kites.example.com", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	define(ctx, t, d, kiteVersion("v1", true, "colour"))
	create("reborn")
	if keys := i.GetStore().ListKeys(); len(keys) != 1 || keys[0] != "default/reborn" {
		t.Errorf("in the store: %v", keys)
	}
}
