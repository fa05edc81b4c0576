package conformance

import (
	"encoding/json"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

// TestLifecycle walks each kind of kinds through create, get, list, watch, patch,
// update, the status subresource, delete and deletecollection.
func TestLifecycle(t *testing.T) {
	for _, k := range kinds {
		conform(t, k.test, func(t *T) { lifecycle(t, k) })
	}
}

// life is one kind and how it is tested.
type life struct {
	// test is the upstream test's name.
	test                     string
	group, version, resource string
	cluster                  bool
	// object is the object without a name, as YAML.
	object string
	// status is a merge patch of the status subresource, if there is one.
	status string
	// plain marks kinds whose status subresource leaves metadata as it is.
	plain bool
}

func (k life) path() string {
	if k.group == "" {
		return "/api/" + k.version
	}
	return "/apis/" + k.group + "/" + k.version
}

func lifecycle(t *T, k life) {
	discovered(t, k)
	all := t.d.Resource(gvr(k.group, k.version, k.resource))
	var api dynamic.ResourceInterface = all
	if !k.cluster {
		api = all.Namespace(t.ns)
	}
	label := name("special")
	selected := metav1.ListOptions{LabelSelector: "special-uid=" + label}
	t.Cleanup(func() { _ = api.DeleteCollection(t.Context(), metav1.DeleteOptions{}, selected) })
	fresh := func() *unstructured.Unstructured {
		u := object(strings.ReplaceAll(k.object, "NAMESPACE", t.ns))
		u.SetName(strings.ReplaceAll(name("conform-"+k.resource), "_", "-"))
		labels := u.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels["special-uid"] = label
		u.SetLabels(labels)
		return u
	}

	var made []*unstructured.Unstructured
	before, err := api.List(t.ctx, selected)
	t.ok(err)
	t.want(len(before.Items) == 0, "%d objects are there before", len(before.Items))
	for range 3 {
		u, err := api.Create(t.ctx, fresh(), metav1.CreateOptions{})
		t.ok(err)
		t.want(u.GetUID() != "" && u.GetResourceVersion() != "", "created without UID or version: %v", u.Object)
		made = append(made, u)
	}
	again := fresh()
	again.SetName(made[0].GetName())
	_, err = api.Create(t.ctx, again, metav1.CreateOptions{})
	t.refused(err, apierrors.IsAlreadyExists)
	w, err := api.Watch(t.ctx, metav1.ListOptions{LabelSelector: selected.LabelSelector, ResourceVersion: before.GetResourceVersion()})
	t.ok(err)
	defer w.Stop()
	t.event(w, watch.Added, nil)

	one := made[0].GetName()
	got, err := api.Get(t.ctx, one, metav1.GetOptions{})
	t.ok(err)
	t.want(got.GetUID() == made[0].GetUID(), "another object is got")
	for _, l := range []dynamic.ResourceInterface{api, all} {
		list, err := l.List(t.ctx, selected)
		t.ok(err)
		t.want(len(list.Items) == 3, "%d objects are listed", len(list.Items))
	}

	patched, err := api.Patch(t.ctx, one, types.MergePatchType, []byte(`{"metadata":{"annotations":{"patched":"true"}}}`), metav1.PatchOptions{})
	t.ok(err)
	t.want(patched.GetAnnotations()["patched"] == "true", "not patched: %v", patched.GetAnnotations())
	annotated(t, api, one, "updated", nil)
	t.event(w, watch.Modified, func(o metav1.Object) bool {
		return o.GetName() == one && o.GetAnnotations()["patched"] == "true" && o.GetAnnotations()["updated"] == "true"
	})
	if k.status != "" {
		status(t, k, api, one)
	}
	every(t, k, api, one)

	t.ok(api.Delete(t.ctx, one, metav1.DeleteOptions{}))
	// What is protected while it is used goes a moment later.
	t.event(w, watch.Deleted, func(o metav1.Object) bool { return o.GetName() == one })
	_, err = api.Get(t.ctx, one, metav1.GetOptions{})
	t.refused(err, apierrors.IsNotFound)
	list, err := api.List(t.ctx, selected)
	t.ok(err)
	t.want(len(list.Items) == 2, "%d objects after a delete", len(list.Items))
	t.ok(api.DeleteCollection(t.ctx, metav1.DeleteOptions{}, selected))
	t.eventually("the collection is gone", func() bool {
		list, err := api.List(t.ctx, selected)
		t.ok(err)
		return len(list.Items) == 0
	})
}

// annotated updates an object, also when others write it at the same time.
func annotated(t *T, api dynamic.ResourceInterface, name, annotation string, also func(*unstructured.Unstructured), sub ...string) *unstructured.Unstructured {
	t.Helper()
	for {
		u, err := api.Get(t.ctx, name, metav1.GetOptions{})
		t.ok(err)
		a := u.GetAnnotations()
		if a == nil {
			a = map[string]string{}
		}
		a[annotation] = "true"
		u.SetAnnotations(a)
		if also != nil {
			also(u)
		}
		u, err = api.Update(t.ctx, u, metav1.UpdateOptions{}, sub...)
		if apierrors.IsConflict(err) {
			continue
		}
		t.ok(err)
		t.want(len(sub) > 0 || u.GetAnnotations()[annotation] == "true", "not updated: %v", u.GetAnnotations())
		return u
	}
}

func status(t *T, k life, api dynamic.ResourceInterface, name string) {
	t.Helper()
	patch := `{"metadata":{"annotations":{"patchedstatus":"true"}},"status":` + k.status + `}`
	patched, err := api.Patch(t.ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	t.ok(err)
	if !k.plain {
		t.want(patched.GetAnnotations()["patchedstatus"] == "true", "patching the status leaves annotations %v", patched.GetAnnotations())
	} else {
		t.want(patched.GetAnnotations()["patchedstatus"] == "", "patching the status changes annotations: %v", patched.GetAnnotations())
	}
	var wanted map[string]any
	t.ok(json.Unmarshal([]byte(k.status), &wanted))
	got, err := api.Get(t.ctx, name, metav1.GetOptions{}, "status")
	t.ok(err)
	has, _, _ := unstructured.NestedMap(patched.Object, "status")
	t.want(contains(has, wanted), "the patched status is %v, not %v", has, wanted)
	t.want(got.GetKind() == patched.GetKind(), "the status is of kind %s", got.GetKind())
	annotated(t, api, name, "updatedstatus", func(u *unstructured.Unstructured) {
		s, _, _ := unstructured.NestedMap(u.Object, "status")
		if s == nil {
			s = map[string]any{}
		}
		for key, v := range wanted {
			s[key] = v
		}
		u.Object["status"] = s
	}, "status")
}

// every sends each type of patch, complete with what names the object, as upstream's
// test of any resource does.
func every(t *T, k life, api dynamic.ResourceInterface, name string) {
	t.Helper()
	u, err := api.Get(t.ctx, name, metav1.GetOptions{})
	t.ok(err)
	force := true
	for _, kind := range []types.PatchType{types.StrategicMergePatchType, types.MergePatchType, types.ApplyYAMLPatchType, types.JSONPatchType} {
		label := "by-" + strings.NewReplacer("application/", "", "+", "-").Replace(string(kind))
		metadata := map[string]any{"name": name, "uid": u.GetUID(), "labels": map[string]any{label: "yes"}}
		if !k.cluster {
			metadata["namespace"] = t.ns
		}
		body := map[string]any{"apiVersion": u.GetAPIVersion(), "kind": u.GetKind(), "metadata": metadata}
		var data []byte
		if kind == types.JSONPatchType {
			data, err = json.Marshal([]any{map[string]any{"op": "add", "path": "/metadata/labels/" + label, "value": "yes"}})
		} else {
			data, err = json.Marshal(body)
		}
		t.ok(err)
		options := metav1.PatchOptions{FieldValidation: metav1.FieldValidationStrict}
		if kind == types.ApplyYAMLPatchType {
			options.FieldManager, options.Force = "test-apply", &force
		}
		patched, err := api.Patch(t.ctx, name, kind, data, options)
		t.ok(err)
		t.want(patched.GetLabels()[label] == "yes" && patched.GetUID() == u.GetUID(), "%s: %v", kind, patched.GetLabels())
		if k.status == "" || kind == types.JSONPatchType {
			continue
		}
		var s map[string]any
		t.ok(json.Unmarshal([]byte(k.status), &s))
		delete(metadata, "labels")
		body["status"] = s
		data, err = json.Marshal(body)
		t.ok(err)
		patched, err = api.Patch(t.ctx, name, kind, data, options, "status")
		t.ok(err)
		has, _, _ := unstructured.NestedMap(patched.Object, "status")
		t.want(contains(has, s), "%s of the status: %v, not %v", kind, has, s)
	}
}

// contains says whether a has all that b has. Numbers are compared as text: they are
// read as int64 here and as float64 there.
func contains(a, b any) bool {
	if m, is := b.(map[string]any); is {
		n, _ := a.(map[string]any)
		for k, v := range m {
			if !contains(n[k], v) {
				return false
			}
		}
		return true
	}
	if l, is := b.([]any); is {
		n, _ := a.([]any)
		if len(n) < len(l) {
			return false
		}
		for i := range l {
			if !contains(n[i], l[i]) {
				return false
			}
		}
		return true
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// discovered demands the kind in the three documents of discovery.
func discovered(t *T, k life) {
	t.Helper()
	if k.group != "" {
		groups, err := t.c.Discovery().ServerGroups()
		t.ok(err)
		found := false
		for _, g := range groups.Groups {
			for _, v := range g.Versions {
				found = found || g.Name == k.group && v.Version == k.version
			}
		}
		t.want(found, "%s/%s is not in /apis", k.group, k.version)
		var g metav1.APIGroup
		b, _, err := t.raw("/apis/"+k.group, "application/json")
		t.ok(err)
		t.ok(json.Unmarshal(b, &g))
		t.want(strings.Contains(string(b), `"`+k.group+"/"+k.version+`"`), "%s is not in /apis/%s", k.version, k.group)
	}
	b, _, err := t.raw(k.path(), "application/json")
	t.ok(err)
	var list metav1.APIResourceList
	t.ok(json.Unmarshal(b, &list))
	served := map[string]metav1.APIResource{}
	for _, r := range list.APIResources {
		served[r.Name] = r
	}
	r, found := served[k.resource]
	t.want(found, "%s is not in %s", k.resource, k.path())
	t.want(r.Namespaced == !k.cluster, "%s: namespaced is %v", k.resource, r.Namespaced)
	for _, v := range []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"} {
		t.want(strings.Contains(" "+strings.Join(r.Verbs, " ")+" ", " "+v+" "), "%s has no verb %s: %v", k.resource, v, r.Verbs)
	}
	if k.status != "" {
		_, found = served[k.resource+"/status"]
		t.want(found, "%s/status is not in %s", k.resource, k.path())
	}
}
