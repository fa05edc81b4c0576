package volumeprotection

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

func TestRelease(t *testing.T) {
	going := metav1.NewTime(controllertest.Start)
	meta := func(ns, finalizer string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: ns, Name: "x", DeletionTimestamp: &going, Finalizers: []string{finalizer}}
	}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: meta("a", claimFinalizer)}
	staying := claim.DeepCopy()
	staying.DeletionTimestamp = nil
	pod := func(node string, phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}, Status: corev1.PodStatus{Phase: phase}, Spec: corev1.PodSpec{NodeName: node,
			Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "x"}}}}}}
	}
	volume := func(p corev1.PersistentVolumePhase) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{ObjectMeta: meta("", volumeFinalizer), Status: corev1.PersistentVolumeStatus{Phase: p}}
	}
	class, name := &storagev1.VolumeAttributesClass{ObjectMeta: meta("", classFinalizer)}, "x"
	for what, c := range map[string]struct {
		spec    controller.Spec
		key     controller.Key
		objects []api.Object
		free    bool
	}{
		"claim of nobody":        {Claims(), controller.Key{Namespace: "a", Name: "x"}, []api.Object{claim}, true},
		"claim that stays":       {Claims(), controller.Key{Namespace: "a", Name: "x"}, []api.Object{staying}, false},
		"claim of a running pod": {Claims(), controller.Key{Namespace: "a", Name: "x"}, []api.Object{claim, pod("n", corev1.PodRunning)}, false},
		"claim of an ended pod":  {Claims(), controller.Key{Namespace: "a", Name: "x"}, []api.Object{claim, pod("n", corev1.PodFailed)}, true},
		"claim of a waiting pod": {Claims(), controller.Key{Namespace: "a", Name: "x"}, []api.Object{claim, pod("", corev1.PodPending)}, true},
		"bound volume":           {Volumes(), controller.Key{Name: "x"}, []api.Object{volume(corev1.VolumeBound)}, false},
		"released volume":        {Volumes(), controller.Key{Name: "x"}, []api.Object{volume(corev1.VolumeReleased)}, true},
		"class of nobody":        {Classes(), controller.Key{Name: "x"}, []api.Object{class}, true},
		"class of a volume": {Classes(), controller.Key{Name: "x"}, []api.Object{class, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v"},
			Spec: corev1.PersistentVolumeSpec{VolumeAttributesClassName: &name}}}, false},
	} {
		t.Run(what, func(t *testing.T) {
			got, _, err := controllertest.Step(t, clienttest.New(c.objects...), c.spec, c.key, controllertest.Start)
			if err != nil || (len(got) == 1) != c.free {
				t.Error(got, err)
			}
		})
	}
}
