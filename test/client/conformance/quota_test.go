package conformance

import (
	"maps"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// hard is what upstream's tests of quotas allow.
func hard() corev1.ResourceList {
	return resources("pods", "5", "services", "10", "services.nodeports", "1", "services.loadbalancers", "1", "replicationcontrollers", "10",
		"resourcequotas", "1", "configmaps", "10", "secrets", "10", "persistentvolumeclaims", "10", "requests.storage", "10Gi",
		"gold.storageclass.storage.k8s.io/persistentvolumeclaims", "10", "gold.storageclass.storage.k8s.io/requests.storage", "10Gi",
		"count/replicasets.apps", "5", "cpu", "1", "memory", "500Mi", "ephemeral-storage", "50Gi", "requests.example.com/dongle", "3")
}

// quota makes a quota of a test's namespace and waits until it is counted.
func quota(t *T, name string, hard corev1.ResourceList, scopes ...corev1.ResourceQuotaScope) {
	t.Helper()
	_, err := t.c.CoreV1().ResourceQuotas(t.ns).Create(t.ctx, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ResourceQuotaSpec{Hard: hard, Scopes: scopes}}, metav1.CreateOptions{})
	t.ok(err)
	t.eventually("the quota "+name+" is counted", func() bool {
		q, err := t.c.CoreV1().ResourceQuotas(t.ns).Get(t.ctx, name, metav1.GetOptions{})
		t.ok(err)
		return len(q.Status.Hard) == len(hard) && len(q.Status.Used) == len(hard)
	})
}

// used waits until a quota counts this.
func used(t *T, name string, pairs ...string) {
	t.Helper()
	wanted := resources(pairs...)
	var q *corev1.ResourceQuota
	defer func() {
		if t.Failed() && q != nil {
			t.Logf("%s counts %v", name, q.Status.Used)
		}
	}()
	t.eventually("the quota counts "+name, func() bool {
		var err error
		q, err = t.c.CoreV1().ResourceQuotas(t.ns).Get(t.ctx, name, metav1.GetOptions{})
		t.ok(err)
		for k, v := range wanted {
			if got, is := q.Status.Used[k]; !is || got.Cmp(v) != 0 {
				return false
			}
		}
		return true
	})
}

func TestQuotas(t *testing.T) {
	conform(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and ensure its status is promptly calculated.", func(t *T) {
		quota(t, "q", hard())
		used(t, "q", "resourcequotas", "1", "pods", "0", "services", "0", "count/replicasets.apps", "0", "cpu", "0")
	})
	conform(t, "[sig-api-machinery] ResourceQuota should be able to update and delete ResourceQuota.", func(t *T) {
		quota(t, "q", resources("cpu", "1", "memory", "500Mi"))
		q := change(t, t.c.CoreV1().ResourceQuotas(t.ns), "q", func(q *corev1.ResourceQuota) { q.Spec.Hard = resources("cpu", "2", "memory", "1Gi") })
		t.want(q.Spec.Hard.Cpu().String() == "2" && q.Spec.Hard.Memory().String() == "1Gi", "%v", q.Spec.Hard)
		t.ok(t.c.CoreV1().ResourceQuotas(t.ns).Delete(t.ctx, "q", metav1.DeleteOptions{}))
		_, err := t.c.CoreV1().ResourceQuotas(t.ns).Get(t.ctx, "q", metav1.GetOptions{})
		t.refused(err, apierrors.IsNotFound)
	})
	conform(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a configMap.", func(t *T) {
		// The namespace's own certificate must not come in between.
		t.eventually("kube-root-ca.crt", func() bool {
			_, err := t.c.CoreV1().ConfigMaps(t.ns).Get(t.ctx, "kube-root-ca.crt", metav1.GetOptions{})
			return err == nil
		})
		quota(t, "q", hard())
		used(t, "q", "configmaps", "1")
		_, err := t.c.CoreV1().ConfigMaps(t.ns).Create(t.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{})
		t.ok(err)
		used(t, "q", "configmaps", "2")
		t.ok(t.c.CoreV1().ConfigMaps(t.ns).Delete(t.ctx, "a", metav1.DeleteOptions{}))
		used(t, "q", "configmaps", "1")
	})
	conform(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a secret.", func(t *T) {
		quota(t, "q", hard())
		used(t, "q", "secrets", "0")
		_, err := t.c.CoreV1().Secrets(t.ns).Create(t.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{})
		t.ok(err)
		used(t, "q", "secrets", "1")
		t.ok(t.c.CoreV1().Secrets(t.ns).Delete(t.ctx, "a", metav1.DeleteOptions{}))
		used(t, "q", "secrets", "0")
	})
	conform(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a service.", func(t *T) {
		quota(t, "q", hard())
		service := func(name string, kind corev1.ServiceType, allocate *bool) error {
			_, err := t.c.CoreV1().Services(t.ns).Create(t.ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Type: kind, AllocateLoadBalancerNodePorts: allocate, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
			return err
		}
		t.ok(service("cluster", corev1.ServiceTypeClusterIP, nil))
		t.ok(service("node", corev1.ServiceTypeNodePort, nil))
		t.refused(service("balancer", corev1.ServiceTypeLoadBalancer, nil), apierrors.IsForbidden, "exceeded quota")
		used(t, "q", "services", "2", "services.nodeports", "1", "services.loadbalancers", "0")
		t.ok(t.c.CoreV1().Services(t.ns).Delete(t.ctx, "node", metav1.DeleteOptions{}))
		used(t, "q", "services", "1", "services.nodeports", "0")
		t.ok(service("balancer", corev1.ServiceTypeLoadBalancer, nil))
		used(t, "q", "services", "2", "services.nodeports", "1", "services.loadbalancers", "1")
		t.ok(t.c.CoreV1().Services(t.ns).Delete(t.ctx, "balancer", metav1.DeleteOptions{}))
		t.ok(t.c.CoreV1().Services(t.ns).Delete(t.ctx, "cluster", metav1.DeleteOptions{}))
		used(t, "q", "services", "0", "services.nodeports", "0", "services.loadbalancers", "0")
	})
	conform(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a pod.", func(t *T) {
		quota(t, "q", hard())
		p := pod("fits", t.ns)
		requests := resources("cpu", "500m", "memory", "252Mi", "ephemeral-storage", "30Gi", "example.com/dongle", "2")
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: requests, Limits: resources("example.com/dongle", "2")}
		_, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, p, metav1.CreateOptions{})
		t.ok(err)
		counted := []string{"pods", "1", "cpu", "500m", "memory", "252Mi", "ephemeral-storage", "30Gi", "requests.example.com/dongle", "2"}
		used(t, "q", counted...)
		big := pod("exceeds", t.ns)
		big.Spec.Containers[0].Resources.Requests = resources("cpu", "600m", "memory", "100Mi", "ephemeral-storage", "1Gi")
		_, err = t.c.CoreV1().Pods(t.ns).Create(t.ctx, big, metav1.CreateOptions{})
		t.refused(err, apierrors.IsForbidden, "exceeded quota: q", "requested: cpu=600m", "used: cpu=500m", "limited: cpu=1")
		big.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: resources("cpu", "100m", "memory", "100Mi", "ephemeral-storage", "1Gi", "example.com/dongle", "2"), Limits: resources("example.com/dongle", "2")}
		_, err = t.c.CoreV1().Pods(t.ns).Create(t.ctx, big, metav1.CreateOptions{})
		t.refused(err, apierrors.IsForbidden, "requests.example.com/dongle")
		none := pod("says-nothing", t.ns)
		_, err = t.c.CoreV1().Pods(t.ns).Create(t.ctx, none, metav1.CreateOptions{})
		t.refused(err, apierrors.IsForbidden, "must specify cpu for: a")
		_, err = t.c.CoreV1().Pods(t.ns).Patch(t.ctx, "fits", types.StrategicMergePatchType, []byte(`{"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"100m"}}}]}}`), metav1.PatchOptions{})
		t.refused(err, apierrors.IsInvalid)
		used(t, "q", counted...)
		t.ok(t.c.CoreV1().Pods(t.ns).Delete(t.ctx, "fits", metav1.DeleteOptions{GracePeriodSeconds: ptr(int64(0))}))
		used(t, "q", "pods", "0", "cpu", "0", "memory", "0", "ephemeral-storage", "0", "requests.example.com/dongle", "0")
	})
	conform(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replication controller.", func(t *T) {
		quota(t, "q", hard())
		_, err := t.c.CoreV1().ReplicationControllers(t.ns).Create(t.ctx, &corev1.ReplicationController{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.ReplicationControllerSpec{Replicas: ptr(int32(0)), Selector: map[string]string{"app": "a"}, Template: ptr(podSpec("a"))}}, metav1.CreateOptions{})
		t.ok(err)
		used(t, "q", "replicationcontrollers", "1")
		t.ok(t.c.CoreV1().ReplicationControllers(t.ns).Delete(t.ctx, "a", metav1.DeleteOptions{PropagationPolicy: ptr(metav1.DeletePropagationBackground)}))
		used(t, "q", "replicationcontrollers", "0")
	})
	conform(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replica set.", func(t *T) {
		quota(t, "q", hard())
		_, err := t.c.AppsV1().ReplicaSets(t.ns).Create(t.ctx, replicaSet("a", 0), metav1.CreateOptions{})
		t.ok(err)
		used(t, "q", "count/replicasets.apps", "1")
		t.ok(t.c.AppsV1().ReplicaSets(t.ns).Delete(t.ctx, "a", metav1.DeleteOptions{PropagationPolicy: ptr(metav1.DeletePropagationBackground)}))
		used(t, "q", "count/replicasets.apps", "0")
	})
	conform(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a persistent volume claim with a storage class", func(t *T) {
		quota(t, "q", hard())
		_, err := t.c.CoreV1().PersistentVolumeClaims(t.ns).Create(t.ctx, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr("gold"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Resources: corev1.VolumeResourceRequirements{Requests: resources("storage", "1Gi")}}}, metav1.CreateOptions{})
		t.ok(err)
		used(t, "q", "persistentvolumeclaims", "1", "requests.storage", "1Gi", "gold.storageclass.storage.k8s.io/persistentvolumeclaims", "1", "gold.storageclass.storage.k8s.io/requests.storage", "1Gi")
		t.ok(t.c.CoreV1().PersistentVolumeClaims(t.ns).Delete(t.ctx, "a", metav1.DeleteOptions{}))
		used(t, "q", "persistentvolumeclaims", "0", "requests.storage", "0", "gold.storageclass.storage.k8s.io/persistentvolumeclaims", "0")
	})
	conform(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a custom resource.", func(t *T) {
		k := define(t, "Quota", "v1", nil)
		quota(t, "q", resources("count/"+k.Resource+"."+k.Group, "1"))
		u := custom(k, "a", nil)
		_, err := t.d.Resource(k.GroupVersionResource).Namespace(t.ns).Create(t.ctx, u, metav1.CreateOptions{})
		t.ok(err)
		used(t, "q", "count/"+k.Resource+"."+k.Group, "1")
		_, err = t.d.Resource(k.GroupVersionResource).Namespace(t.ns).Create(t.ctx, custom(k, "b", nil), metav1.CreateOptions{})
		t.refused(err, apierrors.IsForbidden, "exceeded quota")
		t.ok(t.d.Resource(k.GroupVersionResource).Namespace(t.ns).Delete(t.ctx, "a", metav1.DeleteOptions{}))
		used(t, "q", "count/"+k.Resource+"."+k.Group, "0")
	})
	scoped := func(limited bool, seconds *int64) func(*T, string) {
		return func(t *T, name string) {
			p := pod(name, t.ns)
			p.Spec.ActiveDeadlineSeconds = seconds
			if limited {
				p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: resources("cpu", "500m", "memory", "200Mi"), Limits: resources("cpu", "1", "memory", "400Mi")}
			}
			_, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, p, metav1.CreateOptions{})
			t.ok(err)
		}
	}
	both := func(t *T, make func(*T, string), counts, ignores string, counted []string) {
		t.Helper()
		zero := func() (out []string) {
			for i := 0; i < len(counted); i += 2 {
				out = append(out, counted[i], "0")
			}
			return out
		}()
		make(t, "p")
		used(t, counts, counted...)
		used(t, ignores, zero...)
		t.ok(t.c.CoreV1().Pods(t.ns).Delete(t.ctx, "p", metav1.DeleteOptions{GracePeriodSeconds: ptr(int64(0))}))
		used(t, counts, zero...)
	}
	conform(t, "[sig-api-machinery] ResourceQuota should verify ResourceQuota with best effort scope.", func(t *T) {
		quota(t, "best", resources("pods", "5"), corev1.ResourceQuotaScopeBestEffort)
		quota(t, "not", resources("pods", "5"), corev1.ResourceQuotaScopeNotBestEffort)
		both(t, scoped(false, nil), "best", "not", []string{"pods", "1"})
		both(t, scoped(true, nil), "not", "best", []string{"pods", "1"})
	})
	conform(t, "[sig-api-machinery] ResourceQuota should verify ResourceQuota with terminating scopes.", func(t *T) {
		all := resources("pods", "5", "requests.cpu", "1", "requests.memory", "500Mi", "limits.cpu", "2", "limits.memory", "1Gi")
		quota(t, "terminating", all, corev1.ResourceQuotaScopeTerminating)
		quota(t, "not", maps.Clone(all), corev1.ResourceQuotaScopeNotTerminating)
		counted := []string{"pods", "1", "requests.cpu", "500m", "requests.memory", "200Mi", "limits.cpu", "1", "limits.memory", "400Mi"}
		both(t, scoped(true, nil), "not", "terminating", counted)
		both(t, scoped(true, ptr(int64(3600))), "terminating", "not", counted)
	})
	conform(t, "[sig-api-machinery] ResourceQuota should apply changes to a resourcequota status", func(t *T) {
		api := t.c.CoreV1().ResourceQuotas(t.ns)
		quota(t, "q", resources("cpu", "500m", "memory", "500Mi"))
		for {
			q, err := api.Get(t.ctx, "q", metav1.GetOptions{})
			t.ok(err)
			q.Status.Hard = resources("cpu", "600m", "memory", "600Mi")
			if _, err = api.UpdateStatus(t.ctx, q, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
				t.ok(err)
				break
			}
		}
		t.eventually("the controller restores the status", func() bool {
			q, err := api.Get(t.ctx, "q", metav1.GetOptions{})
			t.ok(err)
			return q.Status.Hard.Cpu().String() == "500m" && q.Status.Hard.Memory().String() == "500Mi"
		})
		_, err := api.Patch(t.ctx, "q", types.StrategicMergePatchType, []byte(`{"spec":{"hard":{"cpu":"1","memory":"1Gi"}}}`), metav1.PatchOptions{})
		t.ok(err)
		t.eventually("the status follows the spec", func() bool {
			q, err := api.Get(t.ctx, "q", metav1.GetOptions{})
			t.ok(err)
			return q.Status.Hard.Cpu().String() == "1" && q.Status.Hard.Memory().String() == "1Gi"
		})
		q, err := api.Patch(t.ctx, "q", types.MergePatchType, []byte(`{"metadata":{"annotations":{"a":"b"}},"spec":{"hard":{"cpu":"7"}},"status":{"hard":{"cpu":"3"},"used":{"cpu":"2"}}}`), metav1.PatchOptions{}, "status")
		t.ok(err)
		t.want(q.Spec.Hard.Cpu().String() == "1" && q.Status.Hard.Cpu().String() == "3", "spec %v status %v", q.Spec.Hard, q.Status.Hard)
	})
	conform(t, "[sig-apps] ReplicaSet should surface a failure condition on a common issue like exceeded quota", func(t *T) {
		quota(t, "q", resources("pods", "2"))
		_, err := t.c.AppsV1().ReplicaSets(t.ns).Create(t.ctx, replicaSet("many", 3), metav1.CreateOptions{})
		t.ok(err)
		failed := func() bool {
			rs, err := t.c.AppsV1().ReplicaSets(t.ns).Get(t.ctx, "many", metav1.GetOptions{})
			t.ok(err)
			for _, c := range rs.Status.Conditions {
				if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue && c.Reason == "FailedCreate" {
					return true
				}
			}
			return false
		}
		t.eventually("ReplicaFailure", failed)
		_, err = t.c.AppsV1().ReplicaSets(t.ns).Patch(t.ctx, "many", types.MergePatchType, []byte(`{"spec":{"replicas":2}}`), metav1.PatchOptions{})
		t.ok(err)
		t.eventually("no ReplicaFailure", func() bool { return !failed() })
	})
}
