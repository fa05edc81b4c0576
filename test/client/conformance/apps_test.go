package conformance

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func podSpec(app string) corev1.PodTemplateSpec {
	p := pod(app, "")
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: p.Labels}, Spec: p.Spec}
}

func replicaSet(name string, replicas int32) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: appsv1.ReplicaSetSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}, Template: podSpec(name)}}
}

func deployment(name string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}, Template: podSpec(name)}}
}

// pods waits until n pods have the label app and gives them.
func pods(t *T, app string, n int) []corev1.Pod {
	t.Helper()
	var list *corev1.PodList
	t.eventually(fmt.Sprintf("%d pods of %s", n, app), func() bool {
		var err error
		list, err = t.c.CoreV1().Pods(t.ns).List(t.ctx, metav1.ListOptions{LabelSelector: "app=" + app})
		t.ok(err)
		return len(list.Items) == n
	})
	return list.Items
}

func TestScales(t *testing.T) {
	for _, k := range []struct {
		name string
		gvr  schema.GroupVersionResource
		text string
	}{
		{"[sig-apps] Deployment Deployment should have a working scale subresource", gvr("apps", "v1", "deployments"), `{apiVersion: apps/v1, kind: Deployment, metadata: {name: scaled}, spec: {replicas: 1, selector: {matchLabels: {app: a}}, template: ` + template + `}}`},
		{"[sig-apps] ReplicaSet Replicaset should have a working scale subresource", gvr("apps", "v1", "replicasets"), `{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: scaled}, spec: {replicas: 1, selector: {matchLabels: {app: a}}, template: ` + template + `}}`},
		{"[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should have a working scale subresource", gvr("apps", "v1", "statefulsets"), `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: scaled}, spec: {replicas: 1, serviceName: test, selector: {matchLabels: {app: a}}, template: ` + template + `}}`},
		{"[sig-apps] ReplicationController should get and update a ReplicationController scale", gvr("", "v1", "replicationcontrollers"), `{apiVersion: v1, kind: ReplicationController, metadata: {name: scaled}, spec: {replicas: 1, selector: {app: a}, template: ` + template + `}}`},
	} {
		conform(t, k.name, func(t *T) {
			api := t.d.Resource(k.gvr).Namespace(t.ns)
			_, err := api.Create(t.ctx, object(k.text), metav1.CreateOptions{})
			t.ok(err)
			sc, err := api.Get(t.ctx, "scaled", metav1.GetOptions{}, "scale")
			t.ok(err)
			n, _, _ := unstructured.NestedInt64(sc.Object, "spec", "replicas")
			selector, _, _ := unstructured.NestedString(sc.Object, "status", "selector")
			t.want(n == 1 && selector == "app=a" && sc.GroupVersionKind() == autoscalingv1.SchemeGroupVersion.WithKind("Scale"), "%v", sc.Object)
			sc.SetResourceVersion("")
			t.ok(unstructured.SetNestedField(sc.Object, int64(2), "spec", "replicas"))
			_, err = api.Update(t.ctx, sc, metav1.UpdateOptions{}, "scale")
			t.ok(err)
			u, err := api.Get(t.ctx, "scaled", metav1.GetOptions{})
			t.ok(err)
			n, _, _ = unstructured.NestedInt64(u.Object, "spec", "replicas")
			t.want(n == 2, "%d replicas", n)
			sc, err = api.Patch(t.ctx, "scaled", types.StrategicMergePatchType, []byte(`{"spec":{"replicas":4}}`), metav1.PatchOptions{}, "scale")
			t.ok(err)
			n, _, _ = unstructured.NestedInt64(sc.Object, "spec", "replicas")
			t.want(n == 4, "%d replicas", n)
		})
	}
}

func TestApps(t *testing.T) {
	conform(t, "[sig-apps] Deployment should run the lifecycle of a Deployment", func(t *T) {
		api := t.c.AppsV1().Deployments(t.ns)
		_, err := api.Create(t.ctx, deployment("life", 2), metav1.CreateOptions{})
		t.ok(err)
		pods(t, "life", 2)
		_, err = api.Patch(t.ctx, "life", types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"test-deployment":"patched"}},"spec":{"replicas":1,"template":{"spec":{"containers":[{"name":"a","image":"other"}]}}}}`), metav1.PatchOptions{})
		t.ok(err)
		t.eventually("the new template is observed", func() bool {
			d, err := api.Get(t.ctx, "life", metav1.GetOptions{})
			t.ok(err)
			return d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas == 1 && d.Annotations["deployment.kubernetes.io/revision"] == "2"
		})
		sets, err := t.c.AppsV1().ReplicaSets(t.ns).List(t.ctx, metav1.ListOptions{LabelSelector: "app=life"})
		t.ok(err)
		t.want(len(sets.Items) == 2, "%d replica sets", len(sets.Items))
		t.ok(api.DeleteCollection(t.ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=life"}))
		pods(t, "life", 0)
	})
	conform(t, "[sig-apps] Deployment RecreateDeployment should delete old pods and create new ones", func(t *T) {
		d := deployment("recreate", 2)
		d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
		_, err := t.c.AppsV1().Deployments(t.ns).Create(t.ctx, d, metav1.CreateOptions{})
		t.ok(err)
		pods(t, "recreate", 2)
		change(t, t.c.AppsV1().Deployments(t.ns), "recreate", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "other" })
		t.eventually("new pods alone", func() bool {
			for _, p := range pods(t, "recreate", 2) {
				if p.Spec.Containers[0].Image != "other" {
					return false
				}
			}
			return true
		})
	})
	conform(t, "[sig-apps] ReplicaSet should adopt matching pods on creation and release no longer matching pods", func(t *T) {
		api := t.c.CoreV1().Pods(t.ns)
		_, err := api.Create(t.ctx, pod("adopt", t.ns), metav1.CreateOptions{})
		t.ok(err)
		_, err = t.c.AppsV1().ReplicaSets(t.ns).Create(t.ctx, replicaSet("adopt", 1), metav1.CreateOptions{})
		t.ok(err)
		owned := func() bool {
			p, err := api.Get(t.ctx, "adopt", metav1.GetOptions{})
			t.ok(err)
			o := metav1.GetControllerOf(p)
			return o != nil && o.Kind == "ReplicaSet" && o.Name == "adopt"
		}
		t.eventually("the pod is adopted", owned)
		change(t, api, "adopt", func(p *corev1.Pod) { p.Labels = map[string]string{"app": "not-matching"} })
		t.eventually("the pod is released", func() bool { return !owned() })
		pods(t, "adopt", 1)
	})
	conform(t, "[sig-apps] DisruptionController should create a PodDisruptionBudget", func(t *T) {
		api := t.c.PolicyV1().PodDisruptionBudgets(t.ns)
		_, err := api.Create(t.ctx, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "foo"}, Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"foo": "bar"}}}}, metav1.CreateOptions{})
		t.ok(err)
		change(t, api, "foo", func(b *policyv1.PodDisruptionBudget) { b.Spec.MinAvailable = ptr(intstr.FromString("2%")) })
		b, err := api.Patch(t.ctx, "foo", types.MergePatchType, []byte(`{"spec":{"minAvailable":"3%"}}`), metav1.PatchOptions{})
		t.ok(err)
		t.want(b.Spec.MinAvailable.String() == "3%", "%v", b.Spec.MinAvailable)
		t.ok(api.Delete(t.ctx, "foo", metav1.DeleteOptions{}))
		_, err = api.Get(t.ctx, "foo", metav1.GetOptions{})
		t.refused(err, apierrors.IsNotFound)
	})
	conform(t, "[sig-apps] DisruptionController should block an eviction until the PDB is updated to allow it", func(t *T) {
		eviction := func(pod string) error {
			return t.c.PolicyV1().Evictions(t.ns).Evict(t.ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod, Namespace: t.ns}})
		}
		p, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, pod("evicted", t.ns), metav1.CreateOptions{})
		t.ok(err)
		_, err = t.c.PolicyV1().PodDisruptionBudgets(t.ns).Create(t.ctx, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "foo"}, Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr(intstr.FromInt32(2)), Selector: &metav1.LabelSelector{MatchLabels: p.Labels}}}, metav1.CreateOptions{})
		t.ok(err)
		_, err = t.c.CoreV1().Pods(t.ns).Patch(t.ctx, "evicted", types.StrategicMergePatchType, []byte(`{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`), metav1.PatchOptions{}, "status")
		t.ok(err)
		// A node and the controller would tell that much.
		observed := func(spec string, allowed int) {
			t.Helper()
			api := t.c.PolicyV1().PodDisruptionBudgets(t.ns)
			b, err := api.Patch(t.ctx, "foo", types.MergePatchType, []byte(spec), metav1.PatchOptions{})
			t.ok(err)
			_, err = api.Patch(t.ctx, "foo", types.MergePatchType, fmt.Appendf(nil, `{"status":{"observedGeneration":%d,"disruptionsAllowed":%d,"currentHealthy":1,"desiredHealthy":%d,"expectedPods":1}}`, b.Generation, allowed, 2-2*allowed), metav1.PatchOptions{}, "status")
			t.ok(err)
		}
		observed(`{}`, 0)
		t.refused(eviction("evicted"), apierrors.IsTooManyRequests, "Cannot evict pod as it would violate the pod's disruption budget.")
		observed(`{"spec":{"minAvailable":0}}`, 1)
		t.ok(eviction("evicted"))
		gone(t, "the pod", func() error { _, err := t.c.CoreV1().Pods(t.ns).Get(t.ctx, "evicted", metav1.GetOptions{}); return err })
	})
}
