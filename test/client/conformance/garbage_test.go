package conformance

import (
	"encoding/json"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func propagation(p metav1.DeletionPropagation) metav1.DeleteOptions {
	return metav1.DeleteOptions{PropagationPolicy: &p}
}

// gone waits until f says that something is not found.
func gone(t *T, what string, f func() error) {
	t.Helper()
	t.eventually(what+" is gone", func() bool {
		err := f()
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		return err != nil
	})
}

func TestGarbageCollector(t *testing.T) {
	owner := func(t *T, name string, replicas int32) *appsv1.ReplicaSet {
		t.Helper()
		rs, err := t.c.AppsV1().ReplicaSets(t.ns).Create(t.ctx, replicaSet(name, replicas), metav1.CreateOptions{})
		t.ok(err)
		pods(t, name, int(replicas))
		return rs
	}
	isGone := func(t *T, name string) {
		t.Helper()
		gone(t, name, func() error {
			_, err := t.c.AppsV1().ReplicaSets(t.ns).Get(t.ctx, name, metav1.GetOptions{})
			return err
		})
	}
	conform(t, "[sig-api-machinery] Garbage collector should delete pods created by rc when not orphaning", func(t *T) {
		rs := owner(t, "background", 2)
		o := propagation(metav1.DeletePropagationBackground)
		o.Preconditions = metav1.NewUIDPreconditions(string(rs.UID))
		t.ok(t.c.AppsV1().ReplicaSets(t.ns).Delete(t.ctx, rs.Name, o))
		pods(t, rs.Name, 0)
	})
	conform(t, "[sig-api-machinery] Garbage collector should orphan pods created by rc if delete options say so", func(t *T) {
		rs := owner(t, "orphan", 10)
		t.ok(t.c.AppsV1().ReplicaSets(t.ns).Delete(t.ctx, rs.Name, propagation(metav1.DeletePropagationOrphan)))
		isGone(t, rs.Name)
		for _, p := range pods(t, rs.Name, 10) {
			t.want(len(p.OwnerReferences) == 0, "%s is owned by %v", p.Name, p.OwnerReferences)
		}
	})
	conform(t, "[sig-api-machinery] Garbage collector should keep the rc around until all its pods are deleted if the deleteOptions says so", func(t *T) {
		rs := owner(t, "foreground", 10)
		// One pod stays for as long as its finalizer does.
		kept := pods(t, rs.Name, 10)[0].Name
		_, err := t.c.CoreV1().Pods(t.ns).Patch(t.ctx, kept, types.MergePatchType, []byte(`{"metadata":{"finalizers":["e2e.example.com/keep"]}}`), metav1.PatchOptions{})
		t.ok(err)
		t.ok(t.c.AppsV1().ReplicaSets(t.ns).Delete(t.ctx, rs.Name, propagation(metav1.DeletePropagationForeground)))
		pods(t, rs.Name, 1)
		rs, err = t.c.AppsV1().ReplicaSets(t.ns).Get(t.ctx, rs.Name, metav1.GetOptions{})
		t.ok(err)
		t.want(rs.DeletionTimestamp != nil && len(rs.Finalizers) == 1 && rs.Finalizers[0] == metav1.FinalizerDeleteDependents, "%+v", rs.ObjectMeta)
		_, err = t.c.CoreV1().Pods(t.ns).Patch(t.ctx, kept, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		t.ok(err)
		isGone(t, rs.Name)
		pods(t, rs.Name, 0)
	})
	conform(t, "[sig-api-machinery] Garbage collector should not delete dependents that have both valid owner and owner that's waiting for dependents to be deleted", func(t *T) {
		going := owner(t, "going", 10)
		staying, err := t.c.AppsV1().ReplicaSets(t.ns).Create(t.ctx, replicaSet("staying", 0), metav1.CreateOptions{})
		t.ok(err)
		for _, p := range pods(t, "going", 10)[:5] {
			patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": []any{map[string]any{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": staying.Name, "uid": staying.UID}}}})
			t.ok(err)
			_, err = t.c.CoreV1().Pods(t.ns).Patch(t.ctx, p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
			t.ok(err)
		}
		t.ok(t.c.AppsV1().ReplicaSets(t.ns).Delete(t.ctx, going.Name, propagation(metav1.DeletePropagationForeground)))
		isGone(t, going.Name)
		for _, p := range pods(t, "going", 5) {
			t.want(p.DeletionTimestamp == nil, "%s is being deleted", p.Name)
			t.want(len(p.OwnerReferences) == 1 && p.OwnerReferences[0].UID == staying.UID, "%s is owned by %v", p.Name, p.OwnerReferences)
		}
	})
	conform(t, "[sig-api-machinery] Garbage collector should not be blocked by dependency circle", func(t *T) {
		var made []*corev1.Pod
		for i := range 3 {
			p, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, pod(fmt.Sprintf("pod%d", i+1), t.ns), metav1.CreateOptions{})
			t.ok(err)
			made = append(made, p)
		}
		for i, p := range made {
			by := made[(i+2)%3]
			patch := fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":%q,"uid":%q,"controller":true,"blockOwnerDeletion":true}]}}`, by.Name, by.UID)
			_, err := t.c.CoreV1().Pods(t.ns).Patch(t.ctx, p.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
			t.ok(err)
		}
		t.ok(t.c.CoreV1().Pods(t.ns).Delete(t.ctx, "pod1", propagation(metav1.DeletePropagationForeground)))
		t.eventually("no pods", func() bool {
			list, err := t.c.CoreV1().Pods(t.ns).List(t.ctx, metav1.ListOptions{})
			t.ok(err)
			return len(list.Items) == 0
		})
	})
	deployed := func(t *T) *appsv1.ReplicaSet {
		t.Helper()
		_, err := t.c.AppsV1().Deployments(t.ns).Create(t.ctx, deployment("owner", 2), metav1.CreateOptions{})
		t.ok(err)
		pods(t, "owner", 2)
		list, err := t.c.AppsV1().ReplicaSets(t.ns).List(t.ctx, metav1.ListOptions{})
		t.ok(err)
		t.want(len(list.Items) == 1, "%d replica sets", len(list.Items))
		return &list.Items[0]
	}
	conform(t, "[sig-api-machinery] Garbage collector should delete RS created by deployment when not orphaning", func(t *T) {
		rs := deployed(t)
		t.ok(t.c.AppsV1().Deployments(t.ns).Delete(t.ctx, "owner", propagation(metav1.DeletePropagationBackground)))
		isGone(t, rs.Name)
		pods(t, "owner", 0)
	})
	conform(t, "[sig-api-machinery] Garbage collector should orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan", func(t *T) {
		rs := deployed(t)
		t.ok(t.c.AppsV1().Deployments(t.ns).Delete(t.ctx, "owner", propagation(metav1.DeletePropagationOrphan)))
		gone(t, "the deployment", func() error {
			_, err := t.c.AppsV1().Deployments(t.ns).Get(t.ctx, "owner", metav1.GetOptions{})
			return err
		})
		rs, err := t.c.AppsV1().ReplicaSets(t.ns).Get(t.ctx, rs.Name, metav1.GetOptions{})
		t.ok(err)
		t.want(len(rs.OwnerReferences) == 0, "owned by %v", rs.OwnerReferences)
		pods(t, "owner", 2)
	})
	conform(t, "[sig-api-machinery] Garbage collector should support cascading deletion of custom resources", func(t *T) {
		k := define(t, "Owner", "v1", nil)
		api := t.d.Resource(k.GroupVersionResource).Namespace(t.ns)
		owner, err := api.Create(t.ctx, custom(k, "owner", nil), metav1.CreateOptions{})
		t.ok(err)
		dependent := custom(k, "dependent", nil)
		dependent.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: k.GroupVersion().String(), Kind: k.Kind, Name: owner.GetName(), UID: owner.GetUID()}})
		_, err = api.Create(t.ctx, dependent, metav1.CreateOptions{})
		t.ok(err)
		t.ok(api.Delete(t.ctx, "owner", propagation(metav1.DeletePropagationBackground)))
		gone(t, "the dependent", func() error { _, err := api.Get(t.ctx, "dependent", metav1.GetOptions{}); return err })
	})
}

func TestNamespaces(t *testing.T) {
	conform(t, "[sig-api-machinery] Namespaces [Serial] should ensure that all pods and services are removed when a namespace is deleted", func(t *T) {
		api := t.c.CoreV1().Namespaces()
		ns := t.namespace(nil)
		t.eventually("the default service account", func() bool {
			_, err := t.c.CoreV1().ServiceAccounts(ns).Get(t.ctx, "default", metav1.GetOptions{})
			return err == nil
		})
		_, err := t.c.CoreV1().Pods(ns).Create(t.ctx, pod("a", ns), metav1.CreateOptions{})
		t.ok(err)
		_, err = t.c.CoreV1().Services(ns).Create(t.ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
		t.ok(err)
		t.ok(api.Delete(t.ctx, ns, metav1.DeleteOptions{}))
		gone(t, "the namespace", func() error { _, err := api.Get(t.ctx, ns, metav1.GetOptions{}); return err })
		_, err = api.Create(t.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
		t.ok(err)
		list, err := t.c.CoreV1().Pods(ns).List(t.ctx, metav1.ListOptions{})
		t.ok(err)
		services, err := t.c.CoreV1().Services(ns).List(t.ctx, metav1.ListOptions{})
		t.ok(err)
		t.want(len(list.Items) == 0 && len(services.Items) == 0, "%d pods, %d services", len(list.Items), len(services.Items))
	})
	conform(t, "[sig-api-machinery] Namespaces [Serial] should always delete fast", func(t *T) {
		var all []string
		for range 20 {
			all = append(all, t.namespace(nil))
		}
		for _, ns := range all {
			t.ok(t.c.CoreV1().Namespaces().Delete(t.ctx, ns, metav1.DeleteOptions{}))
		}
		for _, ns := range all {
			gone(t, ns, func() error { _, err := t.c.CoreV1().Namespaces().Get(t.ctx, ns, metav1.GetOptions{}); return err })
		}
	})
	conform(t, "[sig-api-machinery] Namespaces [Serial] should patch and apply an update to a Namespace", func(t *T) {
		api := t.c.CoreV1().Namespaces()
		ns, err := api.Patch(t.ctx, t.ns, types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"testLabel":"testValue"}}}`), metav1.PatchOptions{})
		t.ok(err)
		t.want(ns.Labels["testLabel"] == "testValue" && ns.Labels["kubernetes.io/metadata.name"] == t.ns, "%v", ns.Labels)
		ns = change(t, api, t.ns, func(ns *corev1.Namespace) { ns.Labels[t.ns] = "updated" })
		t.want(ns.Labels[t.ns] == "updated", "%v", ns.Labels)
	})
	conform(t, "[sig-api-machinery] Namespaces [Serial] should apply changes to a namespace status", func(t *T) {
		api := t.c.CoreV1().Namespaces()
		ns, err := api.Get(t.ctx, t.ns, metav1.GetOptions{})
		t.ok(err)
		t.want(ns.Status.Phase == corev1.NamespaceActive, "phase %s", ns.Status.Phase)
		ns, err = api.Patch(t.ctx, t.ns, types.MergePatchType, []byte(`{"metadata":{"annotations":{"e2e-patched-ns-status":"`+t.ns+`"}},"status":{"conditions":[{"type":"StatusPatch","status":"True","reason":"E2E","message":"Patched by an e2e test"}]}}`), metav1.PatchOptions{}, "status")
		t.ok(err)
		t.want(ns.Annotations["e2e-patched-ns-status"] == t.ns && len(ns.Status.Conditions) == 1, "%+v", ns)
		ns.Status.Conditions = append(ns.Status.Conditions, corev1.NamespaceCondition{Type: "StatusUpdate", Status: corev1.ConditionTrue, Reason: "E2E"})
		ns, err = api.UpdateStatus(t.ctx, ns, metav1.UpdateOptions{})
		t.ok(err)
		t.want(len(ns.Status.Conditions) == 2, "%v", ns.Status.Conditions)
	})
	conform(t, "[sig-api-machinery] Namespaces [Serial] should apply a finalizer to a Namespace", func(t *T) {
		const fake = "e2e.example.com/fakeFinalizer"
		api := t.c.CoreV1().Namespaces()
		ns, err := api.Get(t.ctx, t.ns, metav1.GetOptions{})
		t.ok(err)
		ns.Spec.Finalizers = append(ns.Spec.Finalizers, fake)
		ns, err = api.Finalize(t.ctx, ns, metav1.UpdateOptions{})
		t.ok(err)
		t.want(len(ns.Spec.Finalizers) == 2, "%v", ns.Spec.Finalizers)
		ns.Spec.Finalizers = ns.Spec.Finalizers[:1]
		ns, err = api.Finalize(t.ctx, ns, metav1.UpdateOptions{})
		t.ok(err)
		t.want(len(ns.Spec.Finalizers) == 1 && ns.Spec.Finalizers[0] == corev1.FinalizerKubernetes, "%v", ns.Spec.Finalizers)
	})
}
