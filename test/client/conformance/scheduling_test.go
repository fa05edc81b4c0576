package conformance

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

func TestScheduling(t *testing.T) {
	conform(t, "[sig-scheduling] LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied.", func(t *T) {
		api := t.c.CoreV1().LimitRanges(t.ns)
		w, err := api.Watch(t.ctx, metav1.ListOptions{})
		t.ok(err)
		defer w.Stop()
		_, err = api.Create(t.ctx, &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "limit-range"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer,
			Min: resources("cpu", "50m", "memory", "100Mi", "ephemeral-storage", "100Gi"), Max: resources("cpu", "500m", "memory", "500Mi", "ephemeral-storage", "500Gi"),
			Default: resources("cpu", "500m", "memory", "500Mi", "ephemeral-storage", "500Gi"), DefaultRequest: resources("cpu", "100m", "memory", "200Mi", "ephemeral-storage", "200Gi")}}}}, metav1.CreateOptions{})
		t.ok(err)
		t.event(w, watch.Added, nil)
		try := func(requests, limits corev1.ResourceList) (*corev1.Pod, error) {
			p := pod(name("pod"), t.ns)
			p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: requests, Limits: limits}
			return t.c.CoreV1().Pods(t.ns).Create(t.ctx, p, metav1.CreateOptions{})
		}
		is := func(p *corev1.Pod, requests, limits corev1.ResourceList) {
			t.Helper()
			r := p.Spec.Containers[0].Resources
			for k, v := range requests {
				got := r.Requests[k]
				t.want(got.Cmp(v) == 0, "requests %s of %s, not %s", got.String(), k, v.String())
			}
			for k, v := range limits {
				got := r.Limits[k]
				t.want(got.Cmp(v) == 0, "limits %s to %s, not %s", k, got.String(), v.String())
			}
		}
		p, err := try(nil, nil)
		t.ok(err)
		is(p, resources("cpu", "100m", "memory", "200Mi", "ephemeral-storage", "200Gi"), resources("cpu", "500m", "memory", "500Mi", "ephemeral-storage", "500Gi"))
		p, err = try(resources("cpu", "300m", "memory", "150Mi"), resources("cpu", "300m"))
		t.ok(err)
		is(p, resources("cpu", "300m", "memory", "150Mi", "ephemeral-storage", "200Gi"), resources("cpu", "300m", "memory", "500Mi"))
		_, err = try(resources("cpu", "10m", "memory", "50Mi"), nil)
		t.refused(err, apierrors.IsForbidden, "minimum cpu usage per Container is 50m, but request is 10m")
		_, err = try(nil, resources("cpu", "600m", "memory", "600Mi"))
		t.refused(err, apierrors.IsForbidden, "maximum cpu usage per Container is 500m, but limit is 600m")
		l := change(t, api, "limit-range", func(l *corev1.LimitRange) { l.Spec.Limits[0].Min = resources("cpu", "9m", "memory", "49Mi") })
		t.want(l.Spec.Limits[0].Min.Cpu().String() == "9m", "%+v", l.Spec)
		_, err = try(resources("cpu", "10m", "memory", "50Mi"), nil)
		t.ok(err)
		t.ok(api.Delete(t.ctx, "limit-range", metav1.DeleteOptions{}))
		t.event(w, watch.Deleted, nil)
		_, err = try(nil, resources("cpu", "600m", "memory", "600Mi"))
		t.ok(err)
	})
	conform(t, "[sig-scheduling] SchedulerPreemption [Serial] PriorityClass endpoints verify PriorityClass endpoints can be operated with different HTTP methods", func(t *T) {
		api := t.c.SchedulingV1().PriorityClasses()
		for i, n := range []string{name("p"), name("p")} {
			_, err := api.Create(t.ctx, &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: n}, Value: int32(i + 1)}, metav1.CreateOptions{})
			t.ok(err)
			t.Cleanup(func() { _ = api.Delete(t.Context(), n, metav1.DeleteOptions{}) })
			_, err = api.Patch(t.ctx, n, types.JSONPatchType, []byte(`[{"op":"replace","path":"/value","value":20}]`), metav1.PatchOptions{})
			t.refused(err, apierrors.IsInvalid, "may not be changed in an update")
			c, err := api.Get(t.ctx, n, metav1.GetOptions{})
			t.ok(err)
			c.Value = 20
			_, err = api.Update(t.ctx, c, metav1.UpdateOptions{})
			t.refused(err, apierrors.IsInvalid)
			c, err = api.Patch(t.ctx, n, types.JSONPatchType, []byte(`[{"op":"replace","path":"/description","value":"test"}]`), metav1.PatchOptions{})
			if err != nil { // there is none to replace
				c, err = api.Patch(t.ctx, n, types.StrategicMergePatchType, []byte(`{"description":"test"}`), metav1.PatchOptions{})
			}
			t.ok(err)
			t.want(c.Description == "test", "%+v", c)
			c.Annotations = map[string]string{"updated": "true"}
			_, err = api.Update(t.ctx, c, metav1.UpdateOptions{})
			t.ok(err)
			p := pod(n, t.ns)
			p.Spec.PriorityClassName = n
			p, err = t.c.CoreV1().Pods(t.ns).Create(t.ctx, p, metav1.CreateOptions{})
			t.ok(err)
			t.want(*p.Spec.Priority == int32(i+1) && *p.Spec.PreemptionPolicy == corev1.PreemptLowerPriority, "%+v", p.Spec)
		}
	})
}
