package conformance

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Upstream's suite and its framework select by these fields.
func TestFieldSelectors(t *testing.T) {
	conform(t, "[sig-api-machinery] fields of built-in kinds should be selectable", func(t *T) {
		for _, k := range []struct {
			group, version, resource string
			fields                   []string
		}{
			{"", "v1", "pods", []string{"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"}},
			{"", "v1", "nodes", []string{"spec.unschedulable"}},
			{"", "v1", "namespaces", []string{"status.phase"}},
			{"", "v1", "secrets", []string{"type"}},
			{"", "v1", "services", []string{"spec.clusterIP", "spec.type"}},
			{"", "v1", "replicationcontrollers", []string{"status.replicas"}},
			{"", "v1", "events", []string{"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type"}},
			{"events.k8s.io", "v1", "events", []string{"regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "regarding.apiVersion", "regarding.resourceVersion", "regarding.fieldPath", "reason", "reportingController", "type"}},
			{"batch", "v1", "jobs", []string{"status.successful"}},
			{"certificates.k8s.io", "v1", "certificatesigningrequests", []string{"spec.signerName"}},
			{"resource.k8s.io", "v1", "resourceslices", []string{"spec.nodeName", "spec.driver"}},
		} {
			for _, f := range append(k.fields, "metadata.name") {
				_, err := t.d.Resource(gvr(k.group, k.version, k.resource)).List(t.ctx, metav1.ListOptions{FieldSelector: f + "=x"})
				t.want(err == nil, "%s by %s: %v", k.resource, f, err)
			}
			_, err := t.d.Resource(gvr(k.group, k.version, k.resource)).List(t.ctx, metav1.ListOptions{FieldSelector: "spec.none=x"})
			t.refused(err, apierrors.IsBadRequest)
		}
	})
	conform(t, "[sig-node] Pods should be found by their fields and annotated where they are", func(t *T) {
		_, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, pod("found", t.ns), metav1.CreateOptions{})
		t.ok(err)
		for selector, wanted := range map[string]int{"status.phase=Pending": 1, "status.phase!=Pending": 0, "spec.nodeName=": 1, "metadata.name=found,spec.restartPolicy=Always": 1, "spec.serviceAccountName=default": 1} {
			list, err := t.c.CoreV1().Pods(t.ns).List(t.ctx, metav1.ListOptions{FieldSelector: selector})
			t.ok(err)
			t.want(len(list.Items) == wanted, "%s: %d pods", selector, len(list.Items))
		}
	})
}

func TestResize(t *testing.T) {
	conform(t, "[sig-node] Pod InPlace Resize Container should change resources alone (of a pod that waits)", func(t *T) {
		p := pod("resized", t.ns)
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: resources("cpu", "100m", "memory", "100Mi"), Limits: resources("cpu", "200m", "memory", "200Mi")}
		made, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, p, metav1.CreateOptions{})
		t.ok(err)
		patch := func(what string) (*corev1.Pod, error) {
			return t.c.CoreV1().Pods(t.ns).Patch(t.ctx, "resized", types.StrategicMergePatchType, []byte(what), metav1.PatchOptions{}, "resize")
		}
		p, err = patch(`{"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"150m"},"limits":{"cpu":"300m"}}}]}}`)
		t.ok(err)
		r := p.Spec.Containers[0].Resources
		t.want(r.Requests.Cpu().String() == "150m" && r.Limits.Cpu().String() == "300m" && r.Requests.Memory().String() == "100Mi" && p.Generation == made.Generation+1, "%+v, generation %d", r, p.Generation)
		_, err = patch(`{"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"300m","memory":"200Mi"}}}]}}`)
		t.refused(err, apierrors.IsInvalid, "Pod QOS Class may not change as a result of resizing")
		_, err = t.c.CoreV1().Pods(t.ns).Patch(t.ctx, "resized", types.StrategicMergePatchType, []byte(`{"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"10m"}}}]}}`), metav1.PatchOptions{})
		t.refused(err, apierrors.IsInvalid)
	})
}
