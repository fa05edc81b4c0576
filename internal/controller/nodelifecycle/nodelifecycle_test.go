package nodelifecycle

import (
	"fmt"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

var start = controllertest.Start

func node(name string, ready corev1.ConditionStatus, conditions ...corev1.NodeCondition) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(start)}}
	if ready != "" {
		n.Status.Conditions = append(conditions, corev1.NodeCondition{Type: corev1.NodeReady, Status: ready, LastHeartbeatTime: metav1.NewTime(start)})
	}
	return n
}

func lease(at time.Time) *coordinationv1.Lease {
	t := metav1.NewMicroTime(at)
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: "n"}, Spec: coordinationv1.LeaseSpec{RenewTime: &t}}
}

func text(n *corev1.Node) string {
	var out []string
	for _, c := range n.Status.Conditions {
		out = append(out, fmt.Sprintf("%s=%s", c.Type, c.Status))
	}
	for _, t := range n.Spec.Taints {
		out = append(out, strings.TrimPrefix(t.Key, "node.kubernetes.io/")+":"+string(t.Effect))
	}
	return strings.Join(out, " ")
}

// TestSilence follows one node through its life.
func TestSilence(t *testing.T) {
	pod := controllertest.Running(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}, Spec: corev1.PodSpec{NodeName: "n"}}, true, start)
	k := clienttest.New(node("n", corev1.ConditionTrue), node("other", corev1.ConditionTrue), pod)
	k.Add(lease(start.Add(-time.Hour))) // long ago: that does not count
	s := Spec()
	for _, step := range []struct {
		at     time.Duration
		before func()
		log    []string
		after  time.Duration
		want   string
	}{
		{0, nil, []string{"RegisteredNode Node n event: Registered Node n in Controller"}, 41 * time.Second, "Ready=True"},
		{30 * time.Second, func() { k.Add(lease(start.Add(-time.Minute))) }, nil, 41 * time.Second, "Ready=True"},
		{69 * time.Second, nil, nil, 2 * time.Second, "Ready=True"},
		{71 * time.Second, nil, []string{"update nodes/status n", "update nodes n", "update pods/status a/p",
			"NodeNotReady Node n status is now: NodeNotReady", "NodeNotReady Node is not ready"}, 0,
			"Ready=Unknown MemoryPressure=Unknown DiskPressure=Unknown PIDPressure=Unknown unreachable:NoSchedule unreachable:NoExecute"},
		{200 * time.Second, nil, nil, 0, "Ready=Unknown MemoryPressure=Unknown DiskPressure=Unknown PIDPressure=Unknown unreachable:NoSchedule unreachable:NoExecute"},
		{201 * time.Second, func() {
			n, _ := client.Get[*corev1.Node](t.Context(), k, "", "n")
			c := n.DeepCopy()
			c.Status.Conditions = c.Status.Conditions[:1]
			c.Status.Conditions[0].Status = corev1.ConditionFalse
			k.Add(c)
		}, []string{"update nodes n"}, 41 * time.Second, "Ready=False not-ready:NoSchedule not-ready:NoExecute"},
		{202 * time.Second, func() { k.Add(node("n", corev1.ConditionTrue)) }, nil, 41 * time.Second, "Ready=True"},
		{203 * time.Second, func() { client.Delete[*corev1.Node](t.Context(), k, "", "n", metav1.DeleteOptions{}) },
			[]string{"RemovingNode Node n event: Removing Node n from Controller"}, 0, ""},
	} {
		if step.before != nil {
			step.before()
		}
		log, after, err := controllertest.Step(t, k, s, controller.Key{Name: "n"}, start.Add(step.at))
		if err != nil || after != step.after {
			t.Errorf("at %v: after %v, %v", step.at, after, err)
		}
		controllertest.Equal(t, log, step.log)
		if n, err := client.Get[*corev1.Node](t.Context(), k, "", "n"); err == nil && text(n) != step.want {
			t.Errorf("at %v: %s, want %s", step.at, text(n), step.want)
		}
	}
}

func TestNeverReported(t *testing.T) {
	k := clienttest.New(node("n", ""))
	s := Spec()
	if _, after, _ := controllertest.Step(t, k, s, controller.Key{Name: "n"}, start.Add(10*time.Second)); after != 51*time.Second {
		t.Error(after)
	}
	controllertest.Step(t, k, s, controller.Key{Name: "n"}, start.Add(61*time.Second))
	n, _ := client.Get[*corev1.Node](t.Context(), k, "", "n")
	if c := condition(n, corev1.NodeReady); c == nil || c.Reason != "NodeStatusNeverUpdated" || c.Message != "Kubelet never posted node status." {
		t.Errorf("%+v", c)
	}
	// The only node: nothing is evicted.
	if got := text(n); strings.Contains(got, "NoExecute") || !strings.Contains(got, "unreachable:NoSchedule") {
		t.Error(got)
	}
}

func TestConditionTaints(t *testing.T) {
	full := corev1.NodeCondition{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue}
	n := node("n", corev1.ConditionTrue, full)
	n.Spec.Unschedulable = true
	n.Spec.Taints = []corev1.Taint{{Key: "mine", Effect: corev1.TaintEffectNoSchedule}, {Key: corev1.TaintNodeMemoryPressure, Effect: corev1.TaintEffectNoSchedule}}
	k := clienttest.New(n)
	controllertest.Step(t, k, Spec(), controller.Key{Name: "n"}, start)
	n, _ = client.Get[*corev1.Node](t.Context(), k, "", "n")
	if got := text(n); got != "DiskPressure=True Ready=True mine:NoSchedule disk-pressure:NoSchedule unschedulable:NoSchedule" {
		t.Error(got)
	}
}

func TestPace(t *testing.T) {
	for name, c := range map[string]struct {
		zones map[string]zoneState
		want  time.Duration
	}{
		"one of many":          {map[string]zoneState{"a": {9, 1}}, usual},
		"two of three":         {map[string]zoneState{"a": {1, 2}}, usual},
		"most of a small zone": {map[string]zoneState{"a": {4, 6}}, suspended},
		"most of a large zone": {map[string]zoneState{"a": {40, 60}}, slow},
		"a whole zone":         {map[string]zoneState{"a": {0, 3}, "b": {3, 0}}, usual},
		"everything":           {map[string]zoneState{"a": {0, 3}, "b": {0, 3}}, never},
	} {
		if got := pace(c.zones, "a"); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestTurns: the second lost node of a zone waits ten seconds for its taint.
func TestTurns(t *testing.T) {
	k := clienttest.New(node("1", corev1.ConditionFalse), node("2", corev1.ConditionFalse), node("3", corev1.ConditionTrue))
	s := Spec()
	controllertest.Step(t, k, s, controller.Key{Name: "1"}, start)
	if _, after, _ := controllertest.Step(t, k, s, controller.Key{Name: "2"}, start.Add(time.Second)); after != 9*time.Second {
		t.Error(after)
	}
	controllertest.Step(t, k, s, controller.Key{Name: "2"}, start.Add(10*time.Second))
	for _, name := range []string{"1", "2"} {
		if n, _ := client.Get[*corev1.Node](t.Context(), k, "", name); !strings.Contains(text(n), "not-ready:NoExecute") {
			t.Error(name, text(n))
		}
	}
}
