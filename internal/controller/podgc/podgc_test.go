package podgc

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

func pod(name, node string, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}, Spec: corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: phase}}
}

func TestOrphans(t *testing.T) {
	k := clienttest.New(pod("p", "n", corev1.PodRunning), pod("e", "n", corev1.PodFailed))
	s := Spec(Threshold)
	step := func(name string, at time.Duration) ([]string, time.Duration) {
		t.Helper()
		log, after, err := controllertest.Step(t, k, s, controller.Key{Namespace: "a", Name: name}, controllertest.Start.Add(at))
		if err != nil {
			t.Fatal(err)
		}
		return log, after
	}
	if log, after := step("p", 0); len(log) > 0 || after != quarantine {
		t.Error(log, after)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	back := clienttest.New(node, pod("p", "n", corev1.PodRunning))
	was := k
	k = back
	if log, after := step("p", time.Second); len(log) > 0 || after != 0 {
		t.Error("node is back:", log, after)
	}
	k = was
	if log, after := step("p", 2*time.Second); len(log) > 0 || after != quarantine {
		t.Error("gone again:", log, after)
	}
	log, _ := step("p", time.Minute)
	controllertest.Equal(t, log, []string{"update pods/status a/p", "delete pods a/p"})
	log, _ = step("e", time.Minute)
	controllertest.Equal(t, log, []string{"delete pods a/e"})
}

func TestOutOfService(t *testing.T) {
	at, grace := metav1.NewTime(controllertest.Start), int64(30)
	p := pod("p", "n", corev1.PodRunning)
	p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &at, &grace
	for ready, want := range map[corev1.ConditionStatus][]string{
		corev1.ConditionTrue: nil, corev1.ConditionUnknown: {"update pods/status a/p", "delete pods a/p"},
	} {
		k := clienttest.New(p, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"},
			Spec:   corev1.NodeSpec{Taints: []corev1.Taint{{Key: corev1.TaintNodeOutOfService, Effect: corev1.TaintEffectNoExecute}}},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}}})
		log, _, err := controllertest.Step(t, k, Spec(Threshold), controller.KeyOf(p), controllertest.Start)
		if err != nil {
			t.Error(err)
		}
		controllertest.Equal(t, log, want)
	}
}

func TestThreshold(t *testing.T) {
	var objects []api.Object
	for i := range 5 {
		p := pod(fmt.Sprint(i), "", corev1.PodSucceeded)
		p.CreationTimestamp = metav1.NewTime(controllertest.Start.Add(-time.Duration(i) * time.Hour))
		objects = append(objects, p)
	}
	k := clienttest.New(objects...)
	s := Spec(3)
	var log []string
	for i := range 5 {
		l, _, err := controllertest.Step(t, k, s, controller.Key{Namespace: "a", Name: fmt.Sprint(i)}, controllertest.Start)
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, l...)
	}
	controllertest.Equal(t, log, []string{"delete pods a/4", "delete pods a/3"})
}
