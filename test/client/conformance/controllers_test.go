package conformance

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// controlled skips a test when nobody does within two seconds what a controller does at
// once: the server does not do this yet.
func (t *T) controlled(what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(2 * time.Second)
	for !f() {
		select {
		case <-tick.C:
		case <-late:
			t.Skip("the server does not do this yet: " + what)
		}
	}
}

// TestControllers are tests whose controllers may be missing.
func TestControllers(t *testing.T) {
	conform(t, "[sig-network] EndpointSliceMirroring should mirror a custom Endpoints resource through create update and delete", func(t *T) {
		_, err := t.c.CoreV1().Services(t.ns).Create(t.ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "custom"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "example", Port: 80}}}}, metav1.CreateOptions{})
		t.ok(err)
		_, err = t.c.CoreV1().Endpoints(t.ns).Create(t.ctx, &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "custom"}, Subsets: []corev1.EndpointSubset{{Ports: []corev1.EndpointPort{{Name: "example", Port: 80}}, Addresses: []corev1.EndpointAddress{{IP: "10.1.2.3"}}}}}, metav1.CreateOptions{})
		t.ok(err)
		mirrored := func(address string, port int32) func() bool {
			return func() bool {
				list, err := t.c.DiscoveryV1().EndpointSlices(t.ns).List(t.ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=custom,endpointslice.kubernetes.io/managed-by=endpointslicemirroring-controller.k8s.io"})
				t.ok(err)
				if address == "" {
					return len(list.Items) == 0
				}
				return len(list.Items) == 1 && len(list.Items[0].Endpoints) == 1 && list.Items[0].Endpoints[0].Addresses[0] == address && *list.Items[0].Ports[0].Port == port
			}
		}
		t.controlled("mirroring", mirrored("10.1.2.3", 80))
		change(t, t.c.CoreV1().Endpoints(t.ns), "custom", func(e *corev1.Endpoints) {
			e.Subsets[0].Addresses[0].IP, e.Subsets[0].Ports[0].Port = "10.2.3.4", 8080
		})
		t.eventually("the change is mirrored", mirrored("10.2.3.4", 8080))
		t.ok(t.c.CoreV1().Endpoints(t.ns).Delete(t.ctx, "custom", metav1.DeleteOptions{}))
		t.eventually("the deletion is mirrored", mirrored("", 0))
	})
	conform(t, "[sig-apps] ReplicationController should adopt matching pods and surface a failure condition", func(t *T) {
		quota(t, "q", resources("pods", "2"))
		_, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, pod("rc", t.ns), metav1.CreateOptions{})
		t.ok(err)
		_, err = t.c.CoreV1().ReplicationControllers(t.ns).Create(t.ctx, &corev1.ReplicationController{ObjectMeta: metav1.ObjectMeta{Name: "rc"}, Spec: corev1.ReplicationControllerSpec{Replicas: ptr(int32(3)), Selector: map[string]string{"app": "rc"}, Template: ptr(podSpec("rc"))}}, metav1.CreateOptions{})
		t.ok(err)
		get := func() *corev1.ReplicationController {
			rc, err := t.c.CoreV1().ReplicationControllers(t.ns).Get(t.ctx, "rc", metav1.GetOptions{})
			t.ok(err)
			return rc
		}
		t.controlled("replication controllers", func() bool { return get().Status.ObservedGeneration > 0 })
		pods(t, "rc", 2)
		failed := func() bool {
			for _, c := range get().Status.Conditions {
				if c.Type == corev1.ReplicationControllerReplicaFailure && c.Status == corev1.ConditionTrue {
					return true
				}
			}
			return false
		}
		t.eventually("ReplicaFailure", failed)
		_, err = t.c.CoreV1().ReplicationControllers(t.ns).Patch(t.ctx, "rc", types.MergePatchType, []byte(`{"spec":{"replicas":2}}`), metav1.PatchOptions{})
		t.ok(err)
		t.eventually("no ReplicaFailure", func() bool { return !failed() })
	})
	conform(t, "[sig-apps] DisruptionController should observe PodDisruptionBudget status updated", func(t *T) {
		_, err := t.c.PolicyV1().PodDisruptionBudgets(t.ns).Create(t.ctx, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "foo"}, Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "budget"}}}}, metav1.CreateOptions{})
		t.ok(err)
		get := func() *policyv1.PodDisruptionBudget {
			b, err := t.c.PolicyV1().PodDisruptionBudgets(t.ns).Get(t.ctx, "foo", metav1.GetOptions{})
			t.ok(err)
			return b
		}
		t.controlled("budgets", func() bool { return get().Status.ObservedGeneration > 0 })
		for i, n := range []string{"a", "b", "c"} {
			p := pod(n, t.ns)
			p.Labels["app"] = "budget"
			_, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, p, metav1.CreateOptions{})
			t.ok(err)
			running(t, n, "10.9.1."+string(rune('1'+i)), true)
		}
		t.eventually("two disruptions are allowed", func() bool { return get().Status.DisruptionsAllowed == 2 })
	})
	conform(t, "[sig-apps] Job should adopt matching orphans and release non-matching pods", func(t *T) {
		_, err := t.c.BatchV1().Jobs(t.ns).Create(t.ctx, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "adopt"}, Spec: batchv1.JobSpec{Parallelism: ptr(int32(2)), Completions: ptr(int32(4)), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "a", Image: "a"}}}}}}, metav1.CreateOptions{})
		t.ok(err)
		list := func() []corev1.Pod {
			l, err := t.c.CoreV1().Pods(t.ns).List(t.ctx, metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=adopt"})
			t.ok(err)
			return l.Items
		}
		t.controlled("jobs", func() bool { return len(list()) == 2 })
		orphan := list()[0].Name
		owner := func() *metav1.OwnerReference {
			p, err := t.c.CoreV1().Pods(t.ns).Get(t.ctx, orphan, metav1.GetOptions{})
			t.ok(err)
			return metav1.GetControllerOf(p)
		}
		change(t, t.c.CoreV1().Pods(t.ns), orphan, func(p *corev1.Pod) { p.OwnerReferences = nil })
		t.eventually("the orphan is adopted", func() bool { return owner() != nil })
		change(t, t.c.CoreV1().Pods(t.ns), orphan, func(p *corev1.Pod) { p.Labels = nil })
		t.eventually("the pod is released", func() bool { return owner() == nil })
	})
	conform(t, "[sig-apps] ControllerRevision [Serial] should manage the lifecycle of a ControllerRevision", func(t *T) {
		_, err := t.d.Resource(gvr("apps", "v1", "daemonsets")).Namespace(t.ns).Create(t.ctx, object(`{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: revised}, spec: {selector: {matchLabels: {app: a}}, template: `+template+`}}`), metav1.CreateOptions{})
		t.ok(err)
		revisions := func(n int) func() bool {
			return func() bool {
				l, err := t.c.AppsV1().ControllerRevisions(t.ns).List(t.ctx, metav1.ListOptions{LabelSelector: "app=a"})
				t.ok(err)
				return len(l.Items) == n
			}
		}
		t.controlled("daemon sets", revisions(1))
		_, err = t.c.AppsV1().DaemonSets(t.ns).Patch(t.ctx, "revised", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":1}}}}`), metav1.PatchOptions{})
		t.ok(err)
		t.eventually("two revisions", revisions(2))
	})
}
