package quota

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

func TestCharges(t *testing.T) {
	virtual := row("", "bindings")
	virtual.Virtual = true
	for _, c := range []struct {
		what string
		w    Write
		want bool
	}{
		{"a new pod", Write{Resource: row("", "pods")}, true},
		{"a new deployment", Write{Resource: row("apps", "deployments")}, true},
		{"a binding of a pod", Write{Resource: row("", "pods"), Subresource: "binding"}, false},
		{"a pod that changes", Write{Resource: row("", "pods"), Old: &corev1.Pod{}}, false},
		{"a pod that is resized", Write{Resource: row("", "pods"), Subresource: "resize", Old: &corev1.Pod{}}, true},
		{"another kind that is resized", Write{Resource: row("example.com", "pods"), Subresource: "resize", Old: &corev1.Pod{}}, false},
		{"a service that changes", Write{Resource: row("", "services"), Old: &corev1.Service{}}, true},
		{"the status of a service", Write{Resource: row("", "services"), Subresource: "status", Old: &corev1.Service{}}, false},
		{"a claim that grows", Write{Resource: row("", "persistentvolumeclaims"), Old: &corev1.PersistentVolumeClaim{}}, true},
		{"devices that change", Write{Resource: row("resource.k8s.io", "resourceclaims"), Old: &corev1.Pod{}}, true},
		{"a map that changes", Write{Resource: row("", "configmaps"), Old: &corev1.ConfigMap{}}, false},
		{"an event", Write{Resource: row("", "events")}, false},
		{"an event of the newer group", Write{Resource: row("events.k8s.io", "events")}, false},
		{"what is never stored", Write{Resource: virtual}, false},
		{"what has no namespace", Write{Resource: &api.Resource{}}, false},
	} {
		if c.w.Charges() != c.want {
			t.Errorf("%s: %v", c.what, !c.want)
		}
	}
}

func TestChargePods(t *testing.T) {
	whole := func(requests, limits string) *corev1.Pod {
		p := pod("", "")
		p.Spec.InitContainers = []corev1.Container{{Name: "i"}}
		if requests+limits != "" {
			p.Spec.Resources = &corev1.ResourceRequirements{Requests: list(requests), Limits: list(limits)}
		}
		return p
	}
	for what, c := range map[string]struct {
		object, old *corev1.Pod
		hard, used  string
		scopes      []corev1.ResourceQuotaScope
		more, err   string
	}{
		"the pod as a whole may say it":      {whole("cpu=1", ""), nil, "cpu=2 requests.cpu=2", "", nil, "cpu=1,requests.cpu=1", ""},
		"but all of it":                      {whole("cpu=1", ""), nil, "memory=1Gi", "", nil, "", "failed quota: q: must specify memory for: c,i"},
		"init containers have to say it too": {whole("", ""), nil, "limits.memory=2", "", nil, "", "failed quota: q: must specify limits.memory for: c,i"},
		"negative amounts, all of them":      {pod("cpu=-1 memory=-1", ""), nil, "cpu=5", "", nil, "", "quota usage is negative for resource(s): cpu,memory,requests.cpu,requests.memory"},
		"a resize counts what it adds":       {pod("cpu=3", ""), pod("cpu=1", ""), "cpu=5 pods=1", "cpu=3 pods=1", nil, "cpu=2", ""},
		"and is refused for it":              {pod("cpu=3", ""), pod("cpu=1", ""), "cpu=4", "cpu=3", nil, "", "exceeded quota: q, requested: cpu=2, used: cpu=3, limited: cpu=4"},
		"out of scope nothing is asked":      {pod("", ""), nil, "cpu=1", "", []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeTerminating}, "", ""},
		"all scopes have to hold":            {pod("cpu=1", ""), nil, "cpu=1", "", []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeBestEffort}, "", ""},
		"as they do here":                    {pod("cpu=1", ""), nil, "cpu=1", "", []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeNotBestEffort}, "cpu=1", ""},
		"huge pages and devices":             {pod("hugepages-2Mi=4Mi example.com/gpu=2 ephemeral-storage=1Gi", "ephemeral-storage=2Gi"), nil, "requests.hugepages-2Mi=1Gi requests.example.com/gpu=2 limits.ephemeral-storage=2Gi hugepages-2Mi=1Gi", "", nil, "hugepages-2Mi=4Mi,limits.ephemeral-storage=2Gi,requests.example.com/gpu=2,requests.hugepages-2Mi=4Mi", ""},
	} {
		q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: list(c.hard), Scopes: c.scopes}}
		w := Write{Resource: row("", "pods"), Object: c.object, Now: now}
		if c.old != nil {
			w.Old = c.old
		}
		more, err := w.Charge(q, list(c.used))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if text(more) != c.more || got != c.err {
			t.Errorf("%s: %s, %q; want %s, %q", what, text(more), got, c.more, c.err)
		}
	}
}

// TestChargeIntoScope: what the quota was not about before counts in full.
func TestChargeIntoScope(t *testing.T) {
	slow, fast := "slow", "fast"
	claim := func(class *string, size string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: class, Resources: corev1.VolumeResourceRequirements{Requests: list("storage=" + size)}}}
	}
	q := &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: list("requests.storage=10 persistentvolumeclaims=5"), ScopeSelector: &corev1.ScopeSelector{
		MatchExpressions: []corev1.ScopedResourceSelectorRequirement{{ScopeName: corev1.ResourceQuotaScopeVolumeAttributesClass, Operator: corev1.ScopeSelectorOpIn, Values: []string{fast}}}}}}
	for _, c := range []struct {
		old, next *corev1.PersistentVolumeClaim
		want      string
	}{
		{claim(&slow, "3"), claim(&fast, "3"), "persistentvolumeclaims=1,requests.storage=3"},
		{claim(&fast, "3"), claim(&fast, "5"), "requests.storage=2"},
		{claim(&fast, "3"), claim(&slow, "5"), ""},
		{claim(nil, "3"), claim(nil, "5"), ""},
	} {
		w := Write{Resource: row("", "persistentvolumeclaims"), Object: c.next, Old: c.old, Now: now}
		more, err := w.Charge(q, nil)
		if err != nil || text(more) != c.want {
			t.Errorf("%s, %v; want %s", text(more), err, c.want)
		}
	}
}

func TestCurrent(t *testing.T) {
	q := &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: list("pods=5 cpu=1")}}
	if Current(q) {
		t.Error("a quota that nobody has counted is current")
	}
	now := WithUsed(q, list("pods=2 cpu=500m"))
	if !Current(now) || q.Status.Hard != nil {
		t.Error("it is not after the count, or the count has changed it")
	}
	if text(now.Status.Hard) != "cpu=1,pods=5" || text(now.Status.Used) != "cpu=500m,pods=2" {
		t.Errorf("%v", now.Status)
	}
	same := now.DeepCopy()
	same.Status.Hard = list("pods=5 cpu=1000m")
	if !Current(same) {
		t.Error("amounts in other words are others")
	}
	same.Spec.Hard = list("pods=6 cpu=1")
	if Current(same) {
		t.Error("current although its spec has changed")
	}
	if !Current(&corev1.ResourceQuota{}) {
		t.Error("a quota of nothing needs no count")
	}
}

func TestPlus(t *testing.T) {
	used := list("pods=1 cpu=1")
	if got := text(Plus(used, list("cpu=500m memory=1"))); got != "cpu=1500m,memory=1,pods=1" || text(used) != "cpu=1,pods=1" {
		t.Error(got, used)
	}
}

func TestExpires(t *testing.T) {
	p, grace := &corev1.Pod{}, int64(30)
	if !Expires(p).IsZero() {
		t.Error("a pod that stays expires")
	}
	p.DeletionTimestamp = &metav1.Time{Time: now}
	if !Expires(p).IsZero() {
		t.Error("a pod without a grace period expires")
	}
	p.DeletionGracePeriodSeconds = &grace
	at := Expires(p)
	if at != now.Add(31*time.Second) {
		t.Error(at)
	}
	// What counts until then counts no more from then on.
	if got := text(Usage(row("", "pods"), p, at.Add(-time.Second))); got != "count/pods=1,pods=1" {
		t.Error(got)
	}
	if got := text(Usage(row("", "pods"), p, at)); got != "count/pods=1" {
		t.Error(got)
	}
}

func TestRecount(t *testing.T) {
	ends := int64(5)
	gone := pod("cpu=1", "")
	gone.Status.Phase = corev1.PodFailed
	short := pod("cpu=4", "")
	short.Spec.ActiveDeadlineSeconds = &ends
	objects := map[string][]api.Object{
		"pods":     {pod("cpu=1", ""), pod("cpu=500m", ""), gone, short},
		"services": {&corev1.Service{}},
	}
	rows := []*api.Resource{row("", "pods"), row("", "services"), row("", "secrets"), row("", "events"), {}}
	for _, c := range []struct {
		hard   string
		scopes []corev1.ResourceQuotaScope
		want   string
	}{
		{"cpu=5 pods=5 services=1 secrets=1 count/pods=9", nil, "count/pods=4,cpu=5500m,pods=3,secrets=0,services=1"},
		{"cpu=5 pods=5", []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeNotTerminating}, "cpu=1500m,pods=2"},
		{"example.com/none=1 count/events=5", nil, ""},
	} {
		var asked []string
		q := &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: list(c.hard), Scopes: c.scopes}}
		used, err := Recount(q, rows, now, func(r *api.Resource) ([]api.Object, error) {
			asked = append(asked, r.GVR.Resource)
			return objects[r.GVR.Resource], nil
		})
		if err != nil || text(used) != c.want {
			t.Errorf("%s: %s, %v; want %s (asked for %v)", c.hard, text(used), err, c.want, asked)
		}
	}
	broken := errors.New("broken")
	q := &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: list("pods=5")}}
	if _, err := Recount(q, rows, now, func(*api.Resource) ([]api.Object, error) { return nil, broken }); err != broken {
		t.Error(err)
	}
}
