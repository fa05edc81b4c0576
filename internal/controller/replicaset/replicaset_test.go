package replicaset

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

var app = map[string]string{"app": "x"}

func set3(n int32) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "rs", UID: "rs", Generation: 1},
		Spec:       appsv1.ReplicaSetSpec{Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: app}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}}},
	}
}

type podOption func(*corev1.Pod)

func pod(name string, options ...podOption) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, UID: "", Labels: app, CreationTimestamp: metav1.NewTime(controllertest.Start.Add(-time.Hour))}}
	for _, o := range options {
		o(p)
	}
	return p
}

func owned(p *corev1.Pod) {
	p.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(set3(0), appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}
}

func on(node string) podOption { return func(p *corev1.Pod) { p.Spec.NodeName = node } }

func ready(since time.Duration) podOption {
	return func(p *corev1.Pod) { *p = *controllertest.Running(p, true, controllertest.Start.Add(-since)) }
}

func phased(f corev1.PodPhase) podOption { return func(p *corev1.Pod) { p.Status.Phase = f } }

func TestStep(t *testing.T) {
	deleted := func(p *corev1.Pod) {
		at, grace := metav1.NewTime(controllertest.Start), int64(30)
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &at, &grace
	}
	unlabelled := func(p *corev1.Pod) { p.Labels = map[string]string{"app": "y"} }
	for name, c := range map[string]struct {
		rs     *appsv1.ReplicaSet
		pods   []*corev1.Pod
		refuse error
		want   []string
		status string // replicas/labelled/ready/available/terminating and the failure's reason
		fails  bool
	}{
		"creates": {rs: set3(2), status: "0/0/0/0/0", want: []string{
			"create pods a/rs-bbbbc", "create pods a/rs-bbbbf", "update replicasets/status a/rs",
			"SuccessfulCreate Created pod: rs-bbbbc", "SuccessfulCreate Created pod: rs-bbbbf"}},
		"counts": {rs: set3(3), pods: []*corev1.Pod{pod("1", owned, ready(time.Hour)), pod("2", owned, ready(time.Hour)), pod("3", owned)},
			status: "3/3/2/2/0", want: []string{"update replicasets/status a/rs"}},
		"does not count ended and deleted ones": {rs: set3(1), pods: []*corev1.Pod{pod("1", owned, ready(0)), pod("2", owned, phased(corev1.PodFailed)), pod("3", owned, ready(0), deleted)},
			status: "1/1/1/1/1", want: []string{"update replicasets/status a/rs"}},
		"deletes": {rs: set3(1), pods: []*corev1.Pod{pod("1", owned, ready(time.Hour)), pod("2", owned)}, status: "2/2/1/1/0",
			want: []string{"delete pods a/2", "update replicasets/status a/rs", "SuccessfulDelete Deleted pod: 2"}},
		"adopts":   {rs: set3(1), pods: []*corev1.Pod{pod("1")}, status: "1/1/0/0/0", want: []string{"update pods a/1", "update replicasets/status a/rs"}},
		"releases": {rs: set3(0), pods: []*corev1.Pod{pod("1", owned, unlabelled)}, status: "0/0/0/0/0", want: []string{"update pods a/1", "update replicasets/status a/rs"}},
		"tells of failures": {rs: set3(3), refuse: errors.New("exceeded quota"), fails: true, status: "0/0/0/0/0 FailedCreate",
			want: []string{"update replicasets/status a/rs", "FailedCreate Error creating: exceeded quota"}},
		"forgets failures": {rs: func() *appsv1.ReplicaSet {
			rs := set3(0)
			rs.Status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate"}}
			return rs
		}(), status: "0/0/0/0/0", want: []string{"update replicasets/status a/rs"}},
		"waits for minReadySeconds": {rs: func() *appsv1.ReplicaSet {
			rs := set3(1)
			rs.Spec.MinReadySeconds = 30
			return rs
		}(), pods: []*corev1.Pod{pod("1", owned, ready(10*time.Second))}, status: "1/1/1/0/0", want: []string{"update replicasets/status a/rs", "after 20s"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := clienttest.New(c.rs)
			for _, p := range c.pods {
				k.Add(p)
			}
			k.Refuse = func(w clienttest.Write, _ api.Object) error {
				if w.Resource == "pods" {
					return c.refuse
				}
				return nil
			}
			got, after, err := controllertest.Step(t, k, Spec(), controller.Key{Namespace: "a", Name: "rs"}, controllertest.Start)
			if (err != nil) != c.fails {
				t.Fatal(err)
			}
			if after > 0 {
				got = append(got, "after "+after.String())
			}
			controllertest.Equal(t, got, c.want)
			rs, _ := client.Get[*appsv1.ReplicaSet](t.Context(), k, "a", "rs")
			s := rs.Status
			status := fmt.Sprintf("%d/%d/%d/%d/%d", s.Replicas, s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas, *s.TerminatingReplicas)
			for _, x := range s.Conditions {
				status += " " + x.Reason
			}
			if status != c.status {
				t.Errorf("status %s, want %s", status, c.status)
			}
			if again, _, err := controllertest.Step(t, k, Spec(), controller.Key{Namespace: "a", Name: "rs"}, controllertest.Start); name != "deletes" && name != "creates" && (err != nil) == c.fails && len(again) > 1 {
				t.Errorf("not at rest: %q", again)
			}
		})
	}
}

func TestRank(t *testing.T) {
	costs := func(s string) podOption {
		return func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.PodDeletionCost: s} }
	}
	restarted := func(n int32) podOption {
		return func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: n}} }
	}
	created := func(age time.Duration) podOption {
		return func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(controllertest.Start.Add(-age)) }
	}
	// In each row the pods are in the order in which they go.
	for name, pods := range map[string][]*corev1.Pod{
		"unassigned, pending, not ready, ready": {pod("1"), pod("2", on("n")), pod("3", on("n"), phased(corev1.PodUnknown)), pod("4", on("n"), phased(corev1.PodRunning)), pod("5", on("n"), ready(time.Hour))},
		"cheap first":                           {pod("1", on("n"), costs("-1")), pod("2", on("n")), pod("3", on("n"), costs("100"))},
		"from the full node":                    {pod("1", on("full"), ready(time.Hour)), pod("2", on("n"), ready(time.Minute))},
		"ready for less long":                   {pod("1", on("n"), ready(time.Minute)), pod("2", on("n"), ready(time.Hour))},
		"more restarts":                         {pod("1", on("n"), restarted(3)), pod("2", on("n"))},
		"younger":                               {pod("1", on("n"), created(time.Minute)), pod("2", on("n"), created(time.Hour))},
	} {
		t.Run(name, func(t *testing.T) {
			shuffled := slices.Clone(pods)
			slices.Reverse(shuffled)
			got := victims(shuffled, map[string]int{"full": 3, "n": 1}, 1, controllertest.Start)
			for i := range got {
				if got[i] != pods[i] {
					t.Fatalf("%d is %s", i+1, got[i].Name)
				}
			}
		})
	}
}

func TestReplicationController(t *testing.T) {
	n := int32(1)
	k := clienttest.New(&corev1.ReplicationController{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "rc"},
		Spec:       corev1.ReplicationControllerSpec{Replicas: &n, Selector: app, Template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}}},
	})
	k.Add(pod("1"))
	key := controller.Key{Namespace: "a", Name: "rc"}
	got, _, err := controllertest.Step(t, k, ReplicationControllers(), key, controllertest.Start)
	if err != nil {
		t.Fatal(err)
	}
	controllertest.Equal(t, got, []string{"update pods a/1", "update replicationcontrollers/status a/rc"})
	p, _ := client.Get[*corev1.Pod](t.Context(), k, "a", "1")
	if r := metav1.GetControllerOf(p); r == nil || r.Kind != "ReplicationController" || r.APIVersion != "v1" || !*r.BlockOwnerDeletion {
		t.Errorf("owner %v", r)
	}
	if got, _, err := controllertest.Step(t, k, ReplicationControllers(), key, controllertest.Start); len(got) > 0 || err != nil {
		t.Errorf("not at rest: %q %v", got, err)
	}
}
