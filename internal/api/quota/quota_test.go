package quota

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

func row(group, name string) *api.Resource {
	r := &api.Resource{Namespaced: true}
	r.GVR.Group, r.GVR.Resource = group, name
	return r
}

// list reads "cpu=1 memory=1Gi".
func list(s string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for _, f := range strings.Fields(s) {
		k, v, _ := strings.Cut(f, "=")
		l[corev1.ResourceName(k)] = resource.MustParse(v)
	}
	return l
}

func pod(requests, limits string) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
	p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: list(requests), Limits: list(limits)}
	return p
}

var now = time.Unix(1e9, 0)

func TestUsage(t *testing.T) {
	ended := pod("cpu=1", "")
	ended.Status.Phase = corev1.PodSucceeded
	overdue, grace := pod("cpu=1", ""), int64(30)
	overdue.DeletionTimestamp, overdue.DeletionGracePeriodSeconds = &metav1.Time{Time: now.Add(-time.Minute)}, &grace
	gold, no := "gold", false
	claim := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &gold, Resources: corev1.VolumeResourceRequirements{Requests: list("storage=1500m")}}}
	service := func(typ corev1.ServiceType, alloc *bool) *corev1.Service {
		return &corev1.Service{Spec: corev1.ServiceSpec{Type: typ, AllocateLoadBalancerNodePorts: alloc, Ports: []corev1.ServicePort{{Port: 1}, {Port: 2, NodePort: 30001}}}}
	}
	devices := &resourcev1.ResourceClaim{Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{
		{Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "gpu", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 2}},
		{FirstAvailable: []resourcev1.DeviceSubRequest{
			{DeviceClassName: "gpu", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 1},
			{DeviceClassName: "gpu", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 3},
			{DeviceClassName: "nic", AllocationMode: resourcev1.DeviceAllocationModeAll}}},
	}}}}
	for what, c := range map[string]struct {
		r    *api.Resource
		o    api.Object
		want string
	}{
		"pod":           {row("", "pods"), pod("cpu=1 memory=1Gi hugepages-2Mi=2Mi example.com/gpu=1", "cpu=2"), "count/pods=1,cpu=1,hugepages-2Mi=2Mi,limits.cpu=2,memory=1Gi,pods=1,requests.cpu=1,requests.example.com/gpu=1,requests.hugepages-2Mi=2Mi,requests.memory=1Gi"},
		"ended pod":     {row("", "pods"), ended, "count/pods=1"},
		"overdue pod":   {row("", "pods"), overdue, "count/pods=1"},
		"claim":         {row("", "persistentvolumeclaims"), claim, "count/persistentvolumeclaims=1,gold.storageclass.storage.k8s.io/persistentvolumeclaims=1,gold.storageclass.storage.k8s.io/requests.storage=2,persistentvolumeclaims=1,requests.storage=2"},
		"node ports":    {row("", "services"), service(corev1.ServiceTypeNodePort, nil), "count/services=1,services=1,services.loadbalancers=0,services.nodeports=2"},
		"load balancer": {row("", "services"), service(corev1.ServiceTypeLoadBalancer, &no), "count/services=1,services=1,services.loadbalancers=1,services.nodeports=1"},
		"devices":       {row("resource.k8s.io", "resourceclaims"), devices, "count/resourceclaims.resource.k8s.io=1,gpu.deviceclass.resource.k8s.io/devices=5,nic.deviceclass.resource.k8s.io/devices=32"},
		"secret":        {row("", "secrets"), &corev1.Secret{}, "count/secrets=1,secrets=1"},
		"event":         {row("", "events"), &corev1.Event{}, ""},
	} {
		got := Usage(c.r, c.o, now)
		if text(got) != c.want {
			t.Errorf("%s:\n%s, want\n%s", what, text(got), c.want)
		}
		for name := range got {
			if !Tracks(c.r, name) {
				t.Errorf("%s: %s is used and not tracked", what, name)
			}
		}
	}
}

func TestScopes(t *testing.T) {
	deadline, class := int64(5), "fast"
	ends := &corev1.Pod{Spec: corev1.PodSpec{ActiveDeadlineSeconds: &deadline, PriorityClassName: "high"}, Status: corev1.PodStatus{QOSClass: corev1.PodQOSBestEffort}}
	apart := &corev1.Pod{Spec: corev1.PodSpec{Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{PodAffinityTerm: corev1.PodAffinityTerm{Namespaces: []string{"b"}}}}}}},
		Status: corev1.PodStatus{QOSClass: corev1.PodQOSBurstable}}
	claim := &corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{CurrentVolumeAttributesClassName: &class}}
	const exists, in, notIn, none = corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn, corev1.ScopeSelectorOpDoesNotExist
	for _, c := range []struct {
		scope  corev1.ResourceQuotaScope
		op     corev1.ScopeSelectorOperator
		values string
		o      api.Object
		want   bool
	}{
		{"Terminating", exists, "", ends, true}, {"Terminating", exists, "", apart, false},
		{"NotTerminating", exists, "", ends, false}, {"NotTerminating", exists, "", apart, true},
		{"BestEffort", exists, "", ends, true}, {"BestEffort", exists, "", apart, false},
		{"NotBestEffort", exists, "", ends, false}, {"NotBestEffort", exists, "", apart, true},
		{"PriorityClass", exists, "", ends, true}, {"PriorityClass", exists, "", apart, false},
		{"PriorityClass", in, "low high", ends, true}, {"PriorityClass", in, "low", ends, false},
		{"PriorityClass", notIn, "low", ends, true}, {"PriorityClass", notIn, "low", apart, true}, {"PriorityClass", none, "", apart, true},
		{"CrossNamespacePodAffinity", exists, "", apart, true}, {"CrossNamespacePodAffinity", exists, "", ends, false},
		{"VolumeAttributesClass", in, "fast", claim, true}, {"VolumeAttributesClass", in, "slow", claim, false}, {"VolumeAttributesClass", in, "fast", ends, false},
		{"Terminating", exists, "", &corev1.ConfigMap{}, false},
	} {
		q := &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{ScopeSelector: &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{
			{ScopeName: c.scope, Operator: c.op, Values: strings.Fields(c.values)}}}}}
		if InScope(q, c.o) != c.want {
			t.Errorf("%s %s %s of %T: %v", c.scope, c.op, c.values, c.o, !c.want)
		}
	}
}

func TestCharge(t *testing.T) {
	service := func(typ corev1.ServiceType) *corev1.Service {
		return &corev1.Service{Spec: corev1.ServiceSpec{Type: typ, Ports: []corev1.ServicePort{{Port: 1}}}}
	}
	for what, c := range map[string]struct {
		w          Write
		hard, used string
		more, err  string
	}{
		"fits":                        {Write{Resource: row("", "pods"), Object: pod("cpu=1", "")}, "pods=2 cpu=3", "pods=1 cpu=2", "cpu=1,pods=1", ""},
		"not limited":                 {Write{Resource: row("", "pods"), Object: pod("cpu=1", "")}, "configmaps=2", "", "", ""},
		"exceeds":                     {Write{Resource: row("", "pods"), Object: pod("cpu=2", "")}, "pods=2 cpu=3", "pods=2 cpu=2", "", "exceeded quota: q, requested: cpu=2,pods=1, used: cpu=2,pods=2, limited: cpu=3,pods=2"},
		"must specify":                {Write{Resource: row("", "pods"), Object: pod("cpu=2", "")}, "limits.cpu=2 requests.memory=1", "", "", "failed quota: q: must specify limits.cpu for: c; requests.memory for: c"},
		"other too much used already": {Write{Resource: row("", "services"), Object: service("ClusterIP")}, "services=5 services.nodeports=1", "services=1 services.nodeports=3", "services=1", ""},
		"grows":                       {Write{Resource: row("", "services"), Object: service("NodePort"), Old: service("ClusterIP")}, "services=1 services.nodeports=1", "services=1", "services.nodeports=1", ""},
		"shrinks":                     {Write{Resource: row("", "services"), Object: service("ClusterIP"), Old: service("NodePort")}, "services=1 services.nodeports=0", "services=1", "", ""},
	} {
		q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: list(c.hard)}}
		c.w.Now = now
		more, err := c.w.Charge(q, list(c.used))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if text(more) != c.more || got != c.err {
			t.Errorf("%s: %s, %q; want %s, %q", what, text(more), got, c.more, c.err)
		}
	}
}
