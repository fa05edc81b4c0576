package deployment

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
	"github.com/skiff-k8s/skiff/internal/controller/replicaset"
)

var (
	app = map[string]string{"app": "x"}
	key = controller.Key{Namespace: "a", Name: "web"}
)

type option func(*appsv1.Deployment)

func web(n int32, image string, options ...option) *appsv1.Deployment {
	deadline, history := int32(600), int32(10)
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web", UID: "web", Generation: 1},
		Spec: appsv1.DeploymentSpec{
			Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: app}, ProgressDeadlineSeconds: &deadline, RevisionHistoryLimit: &history,
			Template: template(image), Strategy: rolling("25%", "25%"),
		},
	}
	for _, o := range options {
		o(d)
	}
	return d
}

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}}}
}

func rolling(surge, unavailable string) appsv1.DeploymentStrategy {
	s, u := intstr.Parse(surge), intstr.Parse(unavailable)
	return appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &s, MaxUnavailable: &u}}
}

func strategy(s appsv1.DeploymentStrategy) option {
	return func(d *appsv1.Deployment) { d.Spec.Strategy = s }
}

func paused(d *appsv1.Deployment) { d.Spec.Paused = true }

// rs is a ReplicaSet of web: its revision, size, and how many of its pods are available.
func rs(image string, revision, n, available int32) *appsv1.ReplicaSet {
	d := web(n, image)
	labels := map[string]string{"app": "x", appsv1.DefaultDeploymentUniqueLabelKey: image}
	t := template(image)
	t.Labels = labels
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "a", Name: "web-" + image, Labels: labels, CreationTimestamp: metav1.NewTime(controllertest.Start.Add(time.Duration(revision) * time.Second)),
			Annotations:     map[string]string{revisionAnnotation: fmt.Sprint(revision)},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
		},
		Spec:   appsv1.ReplicaSetSpec{Replicas: &n, Template: t, Selector: &metav1.LabelSelector{MatchLabels: labels}},
		Status: appsv1.ReplicaSetStatus{Replicas: n, ReadyReplicas: available, AvailableReplicas: available},
	}
}

func sized(r *appsv1.ReplicaSet, desired, most string) *appsv1.ReplicaSet {
	r.Annotations[desiredAnnotation], r.Annotations[maxAnnotation] = desired, most
	return r
}

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		n                  int32
		surge, unavailable string
		up, down           int32
	}{
		{4, "25%", "25%", 1, 1}, {3, "25%", "25%", 1, 0}, {1, "25%", "25%", 1, 0}, {10, "25%", "25%", 3, 2},
		{10, "0", "0%", 0, 1}, {2, "0", "5", 0, 2}, {5, "2", "1", 2, 1}, {0, "25%", "25%", 0, 0},
	} {
		up, down := bounds(web(c.n, "v1", strategy(rolling(c.surge, c.unavailable))))
		if up != c.up || down != c.down {
			t.Errorf("%+v: got %d, %d", c, up, down)
		}
	}
}

// TestMoves checks which ReplicaSets a step scales: sizes as "image=size".
func TestMoves(t *testing.T) {
	recreate := strategy(appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType})
	for name, c := range map[string]struct {
		d    *appsv1.Deployment
		sets []*appsv1.ReplicaSet
		want string
	}{
		"first":                      {web(3, "v1"), nil, "new=3"},
		"surge first":                {web(4, "v2"), []*appsv1.ReplicaSet{rs("v1", 1, 4, 4)}, "new=1 v1=4"},
		"then down":                  {web(4, "v2"), []*appsv1.ReplicaSet{rs("v1", 1, 4, 4), rs("v2", 2, 1, 0)}, "v1=3 v2=1"},
		"then up again":              {web(4, "v2"), []*appsv1.ReplicaSet{rs("v1", 1, 3, 3), rs("v2", 2, 1, 0)}, "v1=3 v2=2"},
		"bounded by what is ready":   {web(4, "v2"), []*appsv1.ReplicaSet{rs("v1", 1, 3, 3), rs("v2", 2, 2, 0)}, "v1=3 v2=2"},
		"down as new ones get ready": {web(4, "v2"), []*appsv1.ReplicaSet{rs("v1", 1, 3, 3), rs("v2", 2, 2, 2)}, "v1=1 v2=2"},
		"status of before a move":    {web(4, "v2"), []*appsv1.ReplicaSet{rs("v1", 1, 3, 4), rs("v2", 2, 2, 2)}, "v1=1 v2=2"},
		"broken old ones go first":   {web(4, "v3"), []*appsv1.ReplicaSet{rs("v1", 1, 2, 2), rs("v2", 2, 2, 0), rs("v3", 3, 1, 0)}, "v1=2 v2=1 v3=1"},
		"rollover":                   {web(4, "v3"), []*appsv1.ReplicaSet{rs("v1", 1, 3, 3), rs("v2", 2, 2, 0)}, "new=0 v1=3 v2=2"},
		"rollback":                   {web(4, "v1"), []*appsv1.ReplicaSet{rs("v1", 1, 0, 0), rs("v2", 2, 4, 4)}, "v1=1 v2=4"},
		"paused":                     {web(4, "v2", paused), []*appsv1.ReplicaSet{rs("v1", 1, 4, 4)}, "v1=4"},
		"paused is scaled":           {web(6, "v2", paused), []*appsv1.ReplicaSet{sized(rs("v1", 1, 4, 4), "4", "5")}, "v1=6"},
		"scaled while rolling":       {web(20, "v2"), []*appsv1.ReplicaSet{sized(rs("v1", 1, 8, 8), "10", "13"), sized(rs("v2", 2, 5, 0), "10", "13")}, "v1=15 v2=10"},
		"scaled down while rolling":  {web(5, "v2"), []*appsv1.ReplicaSet{sized(rs("v1", 1, 8, 8), "10", "13"), sized(rs("v2", 2, 5, 0), "10", "13")}, "v1=4 v2=3"},
		"to nothing":                 {web(0, "v1"), []*appsv1.ReplicaSet{sized(rs("v1", 1, 3, 3), "3", "4")}, "v1=0"},
		"recreate: down":             {web(3, "v2", recreate), []*appsv1.ReplicaSet{rs("v1", 1, 3, 3)}, "v1=0"},
		"recreate: wait": {web(3, "v2", recreate), []*appsv1.ReplicaSet{func() *appsv1.ReplicaSet {
			r := rs("v1", 1, 0, 0)
			r.Status.Replicas = 1
			return r
		}()}, "v1=0"},
		"recreate: up": {web(3, "v2", recreate), []*appsv1.ReplicaSet{rs("v1", 1, 0, 0)}, "new=3 v1=0"},
	} {
		t.Run(name, func(t *testing.T) {
			k := clienttest.New(c.d)
			for _, r := range c.sets {
				k.Add(r)
			}
			if _, _, err := controllertest.Step(t, k, Spec(), key, controllertest.Start); err != nil {
				t.Fatal(err)
			}
			sets, _ := client.List[*appsv1.ReplicaSet](t.Context(), k, "a", nil)
			var got []string
			for _, r := range sets {
				name := strings.TrimPrefix(r.Name, "web-")
				if !strings.HasPrefix(name, "v") || len(name) > 2 {
					name = "new"
				}
				got = append(got, fmt.Sprintf("%s=%d", name, *r.Spec.Replicas))
			}
			slices.Sort(got)
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %s, want %s", s, c.want)
			}
		})
	}
}

// TestConditions checks the Progressing and Available conditions after a step.
func TestConditions(t *testing.T) {
	progressing := func(status corev1.ConditionStatus, reason string, ago time.Duration) option {
		return func(d *appsv1.Deployment) {
			at := metav1.NewTime(controllertest.Start.Add(-ago))
			d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: status, Reason: reason, LastUpdateTime: at, LastTransitionTime: at}}
		}
	}
	counted := func(replicas, updated, available int32) option {
		return func(d *appsv1.Deployment) {
			d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.ReadyReplicas, d.Status.AvailableReplicas, d.Status.ObservedGeneration = replicas, updated, available, available, 1
		}
	}
	failing := rs("v1", 1, 3, 0)
	failing.Status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "quota"}}
	for name, c := range map[string]struct {
		d     *appsv1.Deployment
		sets  []*appsv1.ReplicaSet
		want  string
		after time.Duration
	}{
		"created": {web(3, "v1"), nil, `Progressing True NewReplicaSetCreated: Created new replica set "web-H"; Available False MinimumReplicasUnavailable: Deployment does not have minimum availability.`, 601 * time.Second},
		"found":   {web(3, "v1"), []*appsv1.ReplicaSet{rs("v1", 1, 3, 0)}, `Available False MinimumReplicasUnavailable: Deployment does not have minimum availability.; Progressing True ReplicaSetUpdated: ReplicaSet "web-v1" is progressing.`, 601 * time.Second},
		"complete": {web(3, "v1", progressing("True", "ReplicaSetUpdated", time.Minute)), []*appsv1.ReplicaSet{rs("v1", 1, 3, 3)},
			`Available True MinimumReplicasAvailable: Deployment has minimum availability.; Progressing True NewReplicaSetAvailable: ReplicaSet "web-v1" has successfully progressed.`, 0},
		"waits": {web(3, "v1", progressing("True", "ReplicaSetUpdated", time.Minute), counted(3, 3, 1)), []*appsv1.ReplicaSet{rs("v1", 1, 3, 1)},
			`Progressing True ReplicaSetUpdated: ; Available False MinimumReplicasUnavailable: Deployment does not have minimum availability.`, 541 * time.Second},
		"timed out": {web(3, "v1", progressing("True", "ReplicaSetUpdated", 601*time.Second), counted(3, 3, 1)), []*appsv1.ReplicaSet{rs("v1", 1, 3, 1)},
			`Available False MinimumReplicasUnavailable: Deployment does not have minimum availability.; Progressing False ProgressDeadlineExceeded: ReplicaSet "web-v1" has timed out progressing.`, 0},
		"paused": {web(3, "v1", paused, progressing("True", "ReplicaSetUpdated", time.Minute)), []*appsv1.ReplicaSet{rs("v1", 1, 3, 3)},
			`Progressing Unknown DeploymentPaused: Deployment is paused; Available True MinimumReplicasAvailable: Deployment has minimum availability.`, 0},
		"resumed": {web(3, "v1", progressing("Unknown", "DeploymentPaused", time.Hour), counted(3, 3, 1)), []*appsv1.ReplicaSet{rs("v1", 1, 3, 1)},
			`Progressing Unknown DeploymentResumed: Deployment is resumed; Available False MinimumReplicasUnavailable: Deployment does not have minimum availability.`, 601 * time.Second},
		"replica failure": {web(3, "v1", progressing("True", "ReplicaSetUpdated", 0), counted(3, 3, 0)), []*appsv1.ReplicaSet{failing},
			`Progressing True ReplicaSetUpdated: ; Available False MinimumReplicasUnavailable: Deployment does not have minimum availability.; ReplicaFailure True FailedCreate: quota`, 601 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			k := clienttest.New(c.d)
			for _, r := range c.sets {
				k.Add(sized(r.DeepCopy(), "3", "4"))
			}
			_, after, err := controllertest.Step(t, k, Spec(), key, controllertest.Start)
			if err != nil {
				t.Fatal(err)
			}
			d, _ := client.Get[*appsv1.Deployment](t.Context(), k, "a", "web")
			hash, _ := templateHash(&d.Spec.Template, nil)
			var got []string
			for _, x := range d.Status.Conditions {
				got = append(got, strings.ReplaceAll(fmt.Sprintf("%s %s %s: %s", x.Type, x.Status, x.Reason, x.Message), hash, "H"))
			}
			if s := strings.Join(got, "; "); s != c.want || after != c.after {
				t.Errorf("got  %s after %v\nwant %s after %v", s, after, c.want, c.after)
			}
			if again, _, err := controllertest.Step(t, k, Spec(), key, controllertest.Start); name != "created" && (len(again) > 0 || err != nil) {
				t.Errorf("not at rest: %q %v", again, err)
			}
		})
	}
}

// TestSizedByHand: a ReplicaSet that was scaled by hand to what is wanted later
// does not hold the rollout up.
func TestSizedByHand(t *testing.T) {
	k := clienttest.New(web(5, "v2"))
	k.Add(sized(rs("v1", 1, 5, 5), "3", "4"))
	for range 2 {
		if _, _, err := controllertest.Step(t, k, Spec(), key, controllertest.Start); err != nil {
			t.Fatal(err)
		}
	}
	if sets, _ := client.List[*appsv1.ReplicaSet](t.Context(), k, "a", nil); len(sets) != 2 {
		t.Error("no new ReplicaSet")
	}
}

func TestHistory(t *testing.T) {
	one := int32(1)
	d := web(1, "v4", func(d *appsv1.Deployment) {
		d.Spec.RevisionHistoryLimit = &one
		d.Annotations = map[string]string{"kubernetes.io/change-cause": "because"}
		d.Status = appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1, ObservedGeneration: 1}
	})
	k := clienttest.New(d)
	for _, r := range []*appsv1.ReplicaSet{rs("v1", 1, 0, 0), rs("v2", 2, 0, 0), rs("v3", 3, 0, 0), rs("v4", 0, 1, 1)} {
		k.Add(sized(r, "1", "2"))
	}
	got, _, err := controllertest.Step(t, k, Spec(), key, controllertest.Start)
	if err != nil {
		t.Fatal(err)
	}
	controllertest.Equal(t, got, []string{"update replicasets a/web-v4", "delete replicasets a/web-v1", "delete replicasets a/web-v2", "update deployments/status a/web"})
	r, _ := client.Get[*appsv1.ReplicaSet](t.Context(), k, "a", "web-v4")
	if r.Annotations[revisionAnnotation] != "4" || r.Annotations["kubernetes.io/change-cause"] != "because" || r.Annotations[historyAnnotation] != "0" {
		t.Errorf("annotations %v", r.Annotations)
	}
}

func TestCollision(t *testing.T) {
	k := clienttest.New()
	d := k.Add(web(1, "v1")).(*appsv1.Deployment)
	hash, _ := templateHash(&d.Spec.Template, nil)
	k.Add(&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web-" + hash}})
	if _, _, err := controllertest.Step(t, k, Spec(), key, controllertest.Start); err == nil {
		t.Fatal("no error")
	}
	got, _, err := controllertest.Step(t, k, Spec(), key, controllertest.Start)
	if err != nil || len(got) != 3 {
		t.Errorf("%q %v", got, err)
	}
}

func TestRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := clienttest.New(web(4, "v1"))
		events, cancel := controllertest.Run(t, k, Spec(), replicaset.Spec())
		ctx, stop := context.WithCancel(t.Context())
		go controllertest.Node(ctx, k, nil)
		defer func() { stop(); cancel(); synctest.Wait() }()
		settle := func() *appsv1.Deployment {
			time.Sleep(10 * time.Second) // of the bubble's clock
			synctest.Wait()
			d, err := client.Get[*appsv1.Deployment](ctx, k, "a", "web")
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		done := func(d *appsv1.Deployment, revision string) {
			t.Helper()
			c := condition(&d.Status, appsv1.DeploymentProgressing)
			if !complete(d, &d.Status) || d.Annotations[revisionAnnotation] != revision || c.Reason != reasonAvailable {
				t.Errorf("not complete at revision %s: %+v %v", revision, d.Status, d.Annotations)
			}
		}
		image := func(d *appsv1.Deployment, v string) {
			c := d.DeepCopy()
			c.Spec.Template.Spec.Containers[0].Image = v
			if _, err := client.Update(ctx, k, c); err != nil {
				t.Fatal(err)
			}
		}
		scalings := func() (out []string) {
			for _, e := range events.List() {
				if m, ok := strings.CutPrefix(e, "ScalingReplicaSet Scaled "); ok {
					out = append(out, m)
				}
			}
			return out
		}
		d := settle()
		done(d, "1")
		name := func(d *appsv1.Deployment) string {
			h, _ := templateHash(&d.Spec.Template, nil)
			return "web-" + h
		}
		first := name(d)
		controllertest.Equal(t, scalings(), []string{"up replica set " + first + " from 0 to 4"})

		k.Log()
		image(d, "v2")
		d = settle()
		done(d, "2")
		// How large the steps are depends on how soon pods run; that there are three pods to five does not.
		sizes := map[string]int{first: 4, name(d): 0}
		s := scalings()
		for _, m := range s {
			var way, set string
			var from, to int
			if _, err := fmt.Sscanf(m, "%s replica set %s from %d to %d", &way, &set, &from, &to); err != nil {
				t.Fatal(m, err)
			}
			total := sizes[first] + sizes[name(d)] - from + to
			if sizes[set] != from || (way == "up") != (to > from) || (way == "up") != (set == name(d)) || total < 3 || total > 5 {
				t.Errorf("scalings %q: %s", s, m)
			}
			sizes[set] = to
		}
		if sizes[first] != 0 || sizes[name(d)] != 4 || s[0] != "up replica set "+name(d)+" from 0 to 1" {
			t.Errorf("scalings %q", s)
		}
		if n := len(k.Log()); n > 120 {
			t.Errorf("%d writes for a rollout of four pods", n)
		}

		image(d, "v1")
		d = settle()
		done(d, "3")
		old, err := client.Get[*appsv1.ReplicaSet](ctx, k, "a", first)
		if err != nil || old.Annotations[historyAnnotation] != "1" || *old.Spec.Replicas != 4 {
			t.Errorf("rolled back to %+v, %v", old, err)
		}
		k.Log()
		settle()
		if w := k.Log(); len(w) > 0 {
			t.Errorf("not at rest: %q", w)
		}
	})
}
