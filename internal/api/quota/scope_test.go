package quota

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

func TestCrossesNamespaces(t *testing.T) {
	near := corev1.PodAffinityTerm{TopologyKey: "a", LabelSelector: &metav1.LabelSelector{}}
	named, chosen := near, near
	named.Namespaces = []string{"b"}
	chosen.NamespaceSelector = &metav1.LabelSelector{}
	must := func(ts ...corev1.PodAffinityTerm) []corev1.PodAffinityTerm { return ts }
	may := func(t corev1.PodAffinityTerm) []corev1.WeightedPodAffinityTerm {
		return []corev1.WeightedPodAffinityTerm{{PodAffinityTerm: near}, {PodAffinityTerm: t}}
	}
	for _, c := range []struct {
		what string
		a    *corev1.Affinity
		want bool
	}{
		{"nothing", nil, false},
		{"nodes only", &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}, false},
		{"pods near by", &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: must(near), PreferredDuringSchedulingIgnoredDuringExecution: may(near)}}, false},
		{"pods elsewhere", &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: must(near, named)}}, true},
		{"if possible", &corev1.Affinity{PodAffinity: &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: may(chosen)}}, true},
		{"not near others", &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: must(chosen)}}, true},
		{"not near those near by", &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: must(near)}}, false},
	} {
		if crossesNamespaces(c.a) != c.want {
			t.Errorf("%s: %v", c.what, !c.want)
		}
	}
}

// TestAttributesClasses: a claim is of the class that it has, wants and is on its way to.
func TestAttributesClasses(t *testing.T) {
	want, have := "want", "have"
	c := &corev1.PersistentVolumeClaim{
		Spec:   corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: &want},
		Status: corev1.PersistentVolumeClaimStatus{CurrentVolumeAttributesClassName: &have, ModifyVolumeStatus: &corev1.ModifyVolumeStatus{TargetVolumeAttributesClassName: "target"}},
	}
	const scope = corev1.ResourceQuotaScopeVolumeAttributesClass
	for _, r := range []struct {
		op     corev1.ScopeSelectorOperator
		values []string
		o      api.Object
		want   bool
	}{
		{corev1.ScopeSelectorOpIn, []string{"want"}, c, true},
		{corev1.ScopeSelectorOpIn, []string{"have"}, c, true},
		{corev1.ScopeSelectorOpIn, []string{"target"}, c, true},
		{corev1.ScopeSelectorOpNotIn, []string{"target"}, c, false},
		{corev1.ScopeSelectorOpIn, []string{"other"}, c, false},
		{corev1.ScopeSelectorOpExists, nil, c, true},
		{corev1.ScopeSelectorOpDoesNotExist, nil, &corev1.PersistentVolumeClaim{}, true},
		{"Near", nil, c, false}, // no quota says so
	} {
		if holds(corev1.ScopedResourceSelectorRequirement{ScopeName: scope, Operator: r.op, Values: r.values}, r.o) != r.want {
			t.Errorf("%s %v: %v", r.op, r.values, !r.want)
		}
	}
	if podHolds(corev1.ScopedResourceSelectorRequirement{ScopeName: scope, Operator: corev1.ScopeSelectorOpExists}, &corev1.Pod{}) {
		t.Error("pods have no attributes")
	}
}

func TestClaimUsage(t *testing.T) {
	claims := row("", "persistentvolumeclaims")
	gold := "gold"
	for what, c := range map[string]struct {
		c    corev1.PersistentVolumeClaim
		want string
	}{
		"no size":               {corev1.PersistentVolumeClaim{}, "count/persistentvolumeclaims=1,persistentvolumeclaims=1"},
		"given more than asked": {corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: list("storage=1Gi")}}, Status: corev1.PersistentVolumeClaimStatus{AllocatedResources: list("storage=2Gi")}}, "count/persistentvolumeclaims=1,persistentvolumeclaims=1,requests.storage=2Gi"},
		"given less":            {corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: list("storage=2Gi")}}, Status: corev1.PersistentVolumeClaimStatus{AllocatedResources: list("storage=1Gi")}}, "count/persistentvolumeclaims=1,persistentvolumeclaims=1,requests.storage=2Gi"},
		"the old annotation rules": {corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.BetaStorageClassAnnotation: "old"}}, Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &gold}},
			"count/persistentvolumeclaims=1,old.storageclass.storage.k8s.io/persistentvolumeclaims=1,persistentvolumeclaims=1"},
	} {
		if got := text(Usage(claims, &c.c, now)); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}
