package conformance

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

func ptr[T any](v T) *T { return &v }

// pod is a pod that waits for a node, with a label "app" of its name.
func pod(name, namespace string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{TerminationGracePeriodSeconds: ptr(int64(0)), Containers: []corev1.Container{{Name: "a", Image: "registry.k8s.io/pause"}}},
	}
}

// resources are limits or requests: "cpu", "1", "memory", "1Gi".
func resources(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

func TestPods(t *testing.T) {
	create := func(t *T, p *corev1.Pod) *corev1.Pod {
		t.Helper()
		p, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, p, metav1.CreateOptions{})
		t.ok(err)
		return p
	}
	conform(t, "[sig-node] Pods should run through the lifecycle of Pods and PodStatus", func(t *T) {
		api := t.c.CoreV1().Pods(t.ns)
		w, err := api.Watch(t.ctx, metav1.ListOptions{LabelSelector: "app=life"})
		t.ok(err)
		defer w.Stop()
		create(t, pod("life", t.ns))
		t.event(w, watch.Added, nil)
		b, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]string{"test-pod": "patched"}}, "spec": map[string]any{"containers": []any{map[string]string{"name": "a", "image": "registry.k8s.io/other"}}}})
		t.ok(err)
		_, err = api.Patch(t.ctx, "life", types.StrategicMergePatchType, b, metav1.PatchOptions{})
		t.ok(err)
		t.event(w, watch.Modified, func(o metav1.Object) bool { return o.GetLabels()["test-pod"] == "patched" })
		p, err := api.Get(t.ctx, "life", metav1.GetOptions{})
		t.ok(err)
		t.want(p.Spec.Containers[0].Image == "registry.k8s.io/other" && p.Labels["test-pod"] == "patched", "%+v", p)
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse, Message: "patched"})
		p.ResourceVersion = ""
		p, err = api.UpdateStatus(t.ctx, p, metav1.UpdateOptions{})
		t.ok(err)
		t.want(slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Message == "patched" }), "%v", p.Status.Conditions)
		t.ok(api.DeleteCollection(t.ctx, metav1.DeleteOptions{GracePeriodSeconds: ptr(int64(1))}, metav1.ListOptions{LabelSelector: "app=life"}))
		t.event(w, watch.Deleted, nil)
		_, err = api.Get(t.ctx, "life", metav1.GetOptions{})
		t.refused(err, apierrors.IsNotFound)
	})
	conform(t, "[sig-node] Pods should be updated", func(t *T) {
		create(t, pod("update", t.ns))
		change(t, t.c.CoreV1().Pods(t.ns), "update", func(p *corev1.Pod) { p.Labels["time"] = "now" })
		list, err := t.c.CoreV1().Pods(t.ns).List(t.ctx, metav1.ListOptions{LabelSelector: "time=now"})
		t.ok(err)
		t.want(len(list.Items) == 1, "%d pods", len(list.Items))
	})
	conform(t, "[sig-node] Pods should allow activeDeadlineSeconds to be updated", func(t *T) {
		create(t, pod("deadline", t.ns))
		p := change(t, t.c.CoreV1().Pods(t.ns), "deadline", func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = ptr(int64(5)) })
		t.want(*p.Spec.ActiveDeadlineSeconds == 5, "%d", *p.Spec.ActiveDeadlineSeconds)
		p.Spec.ActiveDeadlineSeconds = ptr(int64(10))
		p.ResourceVersion = ""
		_, err := t.c.CoreV1().Pods(t.ns).Update(t.ctx, p, metav1.UpdateOptions{})
		t.refused(err, apierrors.IsInvalid, "activeDeadlineSeconds")
	})
	conform(t, "[sig-node] Pods Extended Pods Set QOS Class should be set on Pods with matching resource requests and limits for memory and cpu", func(t *T) {
		for name, c := range map[string]struct {
			requests, limits corev1.ResourceList
			class            corev1.PodQOSClass
		}{
			"guaranteed": {resources("cpu", "100m", "memory", "100Mi"), resources("cpu", "100m", "memory", "100Mi"), corev1.PodQOSGuaranteed},
			"limits":     {nil, resources("cpu", "100m", "memory", "100Mi"), corev1.PodQOSGuaranteed},
			"burstable":  {resources("cpu", "100m"), resources("cpu", "200m", "memory", "100Mi"), corev1.PodQOSBurstable},
			"besteffort": {nil, nil, corev1.PodQOSBestEffort},
		} {
			p := pod(name, t.ns)
			p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: c.requests, Limits: c.limits}
			t.want(create(t, p).Status.QOSClass == c.class, "%s is not of class %s", name, c.class)
		}
	})
	conform(t, "[sig-node] Pods should delete a collection of pods", func(t *T) {
		for _, n := range []string{"a", "b", "c"} {
			p := pod(n, t.ns)
			p.Labels["type"] = "Testing"
			create(t, p)
		}
		selected := metav1.ListOptions{LabelSelector: "type=Testing"}
		t.ok(t.c.CoreV1().Pods(t.ns).DeleteCollection(t.ctx, metav1.DeleteOptions{}, selected))
		t.eventually("no pods", func() bool {
			l, err := t.c.CoreV1().Pods(t.ns).List(t.ctx, selected)
			t.ok(err)
			return len(l.Items) == 0
		})
	})
	conform(t, "[sig-node] Ephemeral Containers should update the ephemeral containers in an existing pod", func(t *T) {
		create(t, pod("debug", t.ns))
		api := t.c.CoreV1().Pods(t.ns)
		_, err := api.Patch(t.ctx, "debug", types.StrategicMergePatchType, []byte(`{"spec":{"ephemeralContainers":[{"name":"debugger","image":"busybox"}]}}`), metav1.PatchOptions{}, "ephemeralcontainers")
		t.ok(err)
		p, err := api.Get(t.ctx, "debug", metav1.GetOptions{})
		t.ok(err)
		t.want(len(p.Spec.EphemeralContainers) == 1, "%v", p.Spec.EphemeralContainers)
		p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "second", Image: "busybox"}})
		p.ResourceVersion = "" // the scheduler writes to the pod as well: that it finds no node
		p, err = api.UpdateEphemeralContainers(t.ctx, "debug", p, metav1.UpdateOptions{})
		t.ok(err)
		t.want(len(p.Spec.EphemeralContainers) == 2 && p.Spec.EphemeralContainers[1].TerminationMessagePath != "", "%v", p.Spec.EphemeralContainers)
	})
	conform(t, "[sig-node] Pods Extended (pod generation) Pod Generation pod generation should start at 1 and increment per update", func(t *T) {
		p := create(t, pod("generation", t.ns))
		t.want(p.Generation == 1, "a new pod's generation is %d", p.Generation)
		api := t.c.CoreV1().Pods(t.ns)
		for _, c := range []struct {
			patch string
			grows bool
		}{
			{`{"metadata":{"labels":{"x":"y"}}}`, false},
			{`{"spec":{"activeDeadlineSeconds":5000}}`, true},
			{`{"spec":{"containers":[{"name":"a","image":"other"}]}}`, true},
			{`{"spec":{"tolerations":[{"key":"a","operator":"Exists"}]}}`, true},
		} {
			next, err := api.Patch(t.ctx, "generation", types.StrategicMergePatchType, []byte(c.patch), metav1.PatchOptions{})
			t.ok(err)
			t.want((next.Generation == p.Generation+1) == c.grows, "%s: generation %d after %d", c.patch, next.Generation, p.Generation)
			p = next
		}
		next, err := api.Patch(t.ctx, "generation", types.StrategicMergePatchType, []byte(`{"spec":{"ephemeralContainers":[{"name":"debugger","image":"busybox"}]}}`), metav1.PatchOptions{}, "ephemeralcontainers")
		t.ok(err)
		t.want(next.Generation == p.Generation+1, "an ephemeral container: generation %d after %d", next.Generation, p.Generation)
		custom := pod("custom", t.ns)
		custom.Generation = 100
		t.want(create(t, custom).Generation == 1, "a generation is taken from the creator")
	})
	conform(t, "[sig-node] Sysctls [LinuxOnly] should reject invalid sysctls", func(t *T) {
		p := pod("sysctl", t.ns)
		p.Spec.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: "foo-", Value: "bar"}, {Name: "kernel.shmmax", Value: "100000000"}, {Name: "safe-and-unsafe", Value: "100000000"}, {Name: "bar..", Value: "42"}}}
		_, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, p, metav1.CreateOptions{})
		t.refused(err, apierrors.IsInvalid, `Invalid value: "foo-"`, `Invalid value: "bar.."`)
		t.want(err == nil || !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "safe-and-unsafe"), "%v", err)
	})
	conform(t, "[sig-node] RuntimeClass should reject a Pod requesting a non-existent RuntimeClass", func(t *T) {
		p := pod("class", t.ns)
		p.Spec.RuntimeClassName = ptr(t.ns + "-nonexistent")
		_, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, p, metav1.CreateOptions{})
		t.refused(err, apierrors.IsForbidden, "not found")
	})
	conform(t, "[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass and initialize its Overhead", func(t *T) {
		class, err := t.c.NodeV1().RuntimeClasses().Create(t.ctx, &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name("overhead")}, Handler: "test-handler", Overhead: &nodev1.Overhead{PodFixed: resources("cpu", "10m", "memory", "1Mi")}}, metav1.CreateOptions{})
		t.ok(err)
		p := pod("overhead", t.ns)
		p.Spec.RuntimeClassName = &class.Name
		p = create(t, p)
		t.want(p.Spec.Overhead.Cpu().String() == "10m" && p.Spec.Overhead.Memory().String() == "1Mi", "%v", p.Spec.Overhead)
		t.ok(t.c.NodeV1().RuntimeClasses().Delete(t.ctx, class.Name, metav1.DeleteOptions{}))
		p = pod("deleted", t.ns)
		p.Spec.RuntimeClassName = &class.Name
		_, err = t.c.CoreV1().Pods(t.ns).Create(t.ctx, p, metav1.CreateOptions{})
		t.refused(err, apierrors.IsForbidden)
	})
	conform(t, "[sig-storage] CSIInlineVolumes should support CSIVolumeSource in Pod API", func(t *T) {
		p := pod("inline", t.ns)
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "e2e.example.com", ReadOnly: ptr(true)}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/var/v"}}
		create(t, p)
		p, err := t.c.CoreV1().Pods(t.ns).Patch(t.ctx, "inline", types.MergePatchType, []byte(`{"metadata":{"labels":{"inline":"patched"}}}`), metav1.PatchOptions{})
		t.ok(err)
		i := slices.IndexFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "v" })
		t.want(p.Spec.Volumes[i].CSI.Driver == "e2e.example.com" && p.Labels["inline"] == "patched", "%+v", p.Spec.Volumes)
		list, err := t.c.CoreV1().Pods("").List(t.ctx, metav1.ListOptions{FieldSelector: "metadata.namespace=" + t.ns})
		t.ok(err)
		t.want(len(list.Items) == 1, "%d pods", len(list.Items))
		t.ok(t.c.CoreV1().Pods(t.ns).Delete(t.ctx, "inline", metav1.DeleteOptions{}))
	})
	conform(t, "[sig-storage] a pod shows that its node's volumes are projected: token, root certificate and namespace", func(t *T) {
		p := create(t, pod("mounted", t.ns))
		for _, c := range p.Spec.Containers {
			t.want(slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
				return m.MountPath == "/var/run/secrets/kubernetes.io/serviceaccount" && m.ReadOnly
			}), "no token is mounted: %v", c.VolumeMounts)
		}
	})
}

func TestMaps(t *testing.T) {
	conform(t, "[sig-node] ConfigMap should fail to create ConfigMap with empty key", func(t *T) {
		_, err := t.c.CoreV1().ConfigMaps(t.ns).Create(t.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "empty"}, Data: map[string]string{"": "value-1"}}, metav1.CreateOptions{})
		t.refused(err, apierrors.IsInvalid)
	})
	conform(t, "[sig-node] Secrets should fail to create secret due to empty secret key", func(t *T) {
		_, err := t.c.CoreV1().Secrets(t.ns).Create(t.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "empty"}, Data: map[string][]byte{"": []byte("value-1\n")}}, metav1.CreateOptions{})
		t.refused(err, apierrors.IsInvalid)
	})
	conform(t, "[sig-storage] ConfigMap should be immutable if `immutable` field is set", func(t *T) {
		api := t.c.CoreV1().ConfigMaps(t.ns)
		cm, err := api.Create(t.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "fixed"}, Data: map[string]string{"data-1": "value-1"}}, metav1.CreateOptions{})
		t.ok(err)
		try := func(change func(*corev1.ConfigMap)) error {
			next := cm.DeepCopy()
			change(next)
			next, err := api.Update(t.ctx, next, metav1.UpdateOptions{})
			if err == nil {
				cm = next
			}
			return err
		}
		t.ok(try(func(cm *corev1.ConfigMap) { cm.Data["data-4"] = "value-4" }))
		t.ok(try(func(cm *corev1.ConfigMap) { cm.Immutable = ptr(true) }))
		t.refused(try(func(cm *corev1.ConfigMap) { cm.Data["data-5"] = "value-5" }), apierrors.IsInvalid)
		t.refused(try(func(cm *corev1.ConfigMap) { cm.Immutable = ptr(false) }), apierrors.IsInvalid)
		t.ok(try(func(cm *corev1.ConfigMap) { cm.Labels = map[string]string{"label1": "value1"} }))
		t.ok(api.Delete(t.ctx, "fixed", metav1.DeleteOptions{}))
	})
	conform(t, "[sig-storage] Secrets should be immutable if `immutable` field is set", func(t *T) {
		api := t.c.CoreV1().Secrets(t.ns)
		s, err := api.Create(t.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "fixed"}, Data: map[string][]byte{"data-1": []byte("value-1\n")}}, metav1.CreateOptions{})
		t.ok(err)
		try := func(change func(*corev1.Secret)) error {
			next := s.DeepCopy()
			change(next)
			next, err := api.Update(t.ctx, next, metav1.UpdateOptions{})
			if err == nil {
				s = next
			}
			return err
		}
		t.ok(try(func(s *corev1.Secret) { s.Data["data-4"] = []byte("v") }))
		t.ok(try(func(s *corev1.Secret) { s.Immutable = ptr(true) }))
		t.refused(try(func(s *corev1.Secret) { s.Data["data-5"] = []byte("v") }), apierrors.IsInvalid)
		t.refused(try(func(s *corev1.Secret) { s.Immutable = ptr(false) }), apierrors.IsInvalid)
		t.ok(try(func(s *corev1.Secret) { s.Labels = map[string]string{"label1": "value1"} }))
		t.ok(api.Delete(t.ctx, "fixed", metav1.DeleteOptions{}))
	})
	conform(t, "[sig-node] Lease lease API should be available (micro seconds)", func(t *T) {
		api := t.c.CoordinationV1().Leases(t.ns)
		now := metav1.NewMicroTime(metav1.Now().Time.Truncate(1000))
		spec := coordinationv1.LeaseSpec{HolderIdentity: ptr("holder"), LeaseDurationSeconds: ptr(int32(30)), AcquireTime: &now, RenewTime: &now, LeaseTransitions: ptr(int32(0))}
		made, err := api.Create(t.ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "lease"}, Spec: spec}, metav1.CreateOptions{})
		t.ok(err)
		t.want(made.Spec.AcquireTime.Equal(&now) && *made.Spec.LeaseTransitions == 0, "%v is not %v", made.Spec, spec)
		patched := made.DeepCopy()
		patched.Spec.HolderIdentity = ptr("holder4")
		b, err := json.Marshal(map[string]any{"spec": patched.Spec})
		t.ok(err)
		got, err := api.Patch(t.ctx, "lease", types.StrategicMergePatchType, b, metav1.PatchOptions{})
		t.ok(err)
		t.want(*got.Spec.HolderIdentity == "holder4" && got.Spec.RenewTime.Equal(&now), "%v", got.Spec)
	})
}
