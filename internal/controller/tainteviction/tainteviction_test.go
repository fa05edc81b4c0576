package tainteviction

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

func toleration(key string, seconds int64) corev1.Toleration {
	t := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}
	if seconds >= 0 {
		t.TolerationSeconds = &seconds
	}
	return t
}

func TestTolerated(t *testing.T) {
	a, b := corev1.Taint{Key: "a", Value: "1", Effect: corev1.TaintEffectNoExecute}, corev1.Taint{Key: "b", Effect: corev1.TaintEffectNoExecute}
	for name, c := range map[string]struct {
		taints      []corev1.Taint
		tolerations []corev1.Toleration
		allowed     time.Duration
		forever     bool
	}{
		"no taint":             {nil, nil, 0, true},
		"not at all":           {[]corev1.Taint{a}, nil, 0, false},
		"one of two":           {[]corev1.Taint{a, b}, []corev1.Toleration{toleration("a", -1)}, 0, false},
		"for ever":             {[]corev1.Taint{a, b}, []corev1.Toleration{{Operator: corev1.TolerationOpExists}}, 0, true},
		"for a while":          {[]corev1.Taint{a}, []corev1.Toleration{toleration("a", 300)}, 300 * time.Second, false},
		"the shortest":         {[]corev1.Taint{a, b}, []corev1.Toleration{toleration("a", 300), toleration("b", 2)}, 2 * time.Second, false},
		"one of them for ever": {[]corev1.Taint{a, b}, []corev1.Toleration{toleration("a", -1), toleration("b", 2)}, 2 * time.Second, false},
		"by value":             {[]corev1.Taint{a}, []corev1.Toleration{{Key: "a", Value: "1"}}, 0, true},
		"by another value":     {[]corev1.Taint{a}, []corev1.Toleration{{Key: "a", Value: "2"}}, 0, false},
		"another effect":       {[]corev1.Taint{a}, []corev1.Toleration{{Key: "a", Value: "1", Effect: corev1.TaintEffectNoSchedule}}, 0, false},
	} {
		if allowed, forever := tolerated(c.taints, c.tolerations); allowed != c.allowed || forever != c.forever {
			t.Errorf("%s: %v %v", name, allowed, forever)
		}
	}
}

func TestEviction(t *testing.T) {
	node := func(taints ...corev1.Taint) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Spec: corev1.NodeSpec{Taints: taints}}
	}
	lost := corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}, Spec: corev1.PodSpec{NodeName: "n", Tolerations: []corev1.Toleration{toleration(corev1.TaintNodeUnreachable, 300)}}}
	k := clienttest.New(node(), pod)
	s := Spec()
	for _, step := range []struct {
		at    time.Duration
		node  *corev1.Node
		log   []string
		after time.Duration
	}{
		{0, nil, nil, 0},
		{time.Second, node(lost), nil, 300 * time.Second},
		{101 * time.Second, nil, nil, 200 * time.Second},
		{102 * time.Second, node(), []string{"TaintManagerEviction Cancelling deletion of Pod a/p"}, 0},
		{200 * time.Second, node(lost), nil, 300 * time.Second},
		{500 * time.Second, nil, []string{"update pods/status a/p", "delete pods a/p", "TaintManagerEviction Marking for deletion Pod a/p"}, 0},
		{501 * time.Second, nil, nil, 0},
	} {
		if step.node != nil {
			k.Add(step.node)
		}
		log, after, err := controllertest.Step(t, k, s, controller.Key{Namespace: "a", Name: "p"}, controllertest.Start.Add(step.at))
		if err != nil || after != step.after {
			t.Errorf("at %v: after %v, %v", step.at, after, err)
		}
		controllertest.Equal(t, log, step.log)
	}
	p, _ := client.Get[*corev1.Pod](t.Context(), k, "a", "p")
	if c := controller.PodCondition(p, corev1.DisruptionTarget); c == nil || c.Reason != "DeletionByTaintManager" {
		t.Errorf("%+v", c)
	}
}
