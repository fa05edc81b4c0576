package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
)

// events keeps what was recorded.
type events struct {
	mu    sync.Mutex
	lines []string
}

func (e *events) Record(component string, about api.Object, kind, reason, action, message string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines = append(e.lines, fmt.Sprintf("%s %s %s %s: %s", component, about.GetName(), kind, reason, message))
}

func (e *events) RecordFrom(component, host string, about api.Object, fieldPath, kind, reason, message string) {
	e.Record(component, about, kind, reason, "", message)
}

// take returns the lines since the last take.
func (e *events) take() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := strings.Join(e.lines, "\n")
	e.lines = nil
	return out
}

// stage is a scheduler that runs on an API in memory in fake time.
type stage struct {
	t  *testing.T
	c  *clienttest.Client
	ev *events
}

// play runs a scheduler on the objects inside a synctest bubble.
func play(t *testing.T, f func(*stage), objects ...api.Object) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		st := &stage{t, clienttest.New(objects...), &events{}}
		s := New(Options{Client: st.c, Events: st.ev, Seed: 1})
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		f(st)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
}

func (s *stage) create(o api.Object) {
	s.t.Helper()
	s.c.Add(o)
	synctest.Wait()
}

func (s *stage) pod(name string) *corev1.Pod {
	s.t.Helper()
	p, err := client.Get[*corev1.Pod](s.t.Context(), s.c, "default", name)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *stage) wantEvents(want ...string) {
	s.t.Helper()
	if got := s.ev.take(); got != strings.Join(want, "\n") {
		s.t.Errorf("events:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func (s *stage) wantNode(name, node string) {
	s.t.Helper()
	if got := s.pod(name).Spec.NodeName; got != node {
		s.t.Errorf("pod %s is on %q, want %q", name, got, node)
	}
}

func (s *stage) after(d time.Duration) {
	time.Sleep(d) // fake time
	synctest.Wait()
}

func TestBinds(t *testing.T) {
	play(t, func(s *stage) {
		s.create(pod("x"))
		s.wantNode("x", "node-3")
		s.wantEvents("default-scheduler x Normal Scheduled: Successfully assigned default/x to node-3")
		s.create(pod("other", func(p *corev1.Pod) { p.Spec.SchedulerName = "mine" }))
		s.wantNode("other", "")
		s.create(pod("placed", on("node-3")))
		s.wantEvents()
	}, node("node-3"))
}

func TestTellsWhy(t *testing.T) {
	play(t, func(s *stage) {
		s.create(pod("big", ask("3", "1Gi")))
		s.wantEvents("default-scheduler big Warning FailedScheduling: 0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s). " +
			"preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling.")
		p := s.pod("big")
		if len(p.Status.Conditions) != 1 || p.Status.Conditions[0].Reason != "Unschedulable" || p.Status.Conditions[0].Status != "False" ||
			!strings.HasPrefix(p.Status.Conditions[0].Message, "0/3 nodes are available: 1 Insufficient cpu, ") {
			t.Errorf("conditions %+v", p.Status.Conditions)
		}
		s.c.Writes()
		// Nothing happens: no attempt for five minutes, and then no write as nothing is new.
		s.after(4 * time.Minute)
		s.wantEvents()
		s.after(2 * time.Minute)
		if got := s.ev.take(); strings.Count(got, "FailedScheduling") != 1 {
			t.Errorf("events after flush: %s", got)
		}
		if w := s.c.Log(); len(w) != 0 {
			t.Errorf("writes without news: %v", w)
		}
		// The pod in the way ends.
		if err := client.Delete[*corev1.Pod](t.Context(), s.c, "default", "busy", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
			t.Fatal(err)
		}
		s.after(10 * time.Second)
		s.wantNode("big", "a")
	}, node("a"), node("b", taint("k", "v", corev1.TaintEffectNoSchedule)), node("c", taint("k", "v", corev1.TaintEffectNoExecute)),
		pod("busy", ask("2", "1Gi"), on("a")))
}

func TestNoNodes(t *testing.T) {
	play(t, func(s *stage) {
		s.create(pod("x"))
		s.wantEvents("default-scheduler x Warning FailedScheduling: no nodes available to schedule pods")
		s.create(node("late"))
		s.wantNode("x", "late")
	})
}

func TestGates(t *testing.T) {
	play(t, func(s *stage) {
		s.create(pod("x", func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "wait"}} }))
		s.wantNode("x", "")
		s.wantEvents()
		p := s.pod("x").DeepCopy()
		if len(p.Status.Conditions) != 1 || p.Status.Conditions[0].Reason != "SchedulingGated" {
			t.Errorf("conditions %+v", p.Status.Conditions)
		}
		p.Spec.SchedulingGates = nil
		p.Generation++
		if _, err := client.Update(t.Context(), s.c, p); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.wantNode("x", "a")
	}, node("a"))
}

func TestPreempts(t *testing.T) {
	play(t, func(s *stage) {
		s.create(pod("vip", ask("3", "1Gi"), priority(1000)))
		p := s.pod("vip")
		if p.Status.NominatedNodeName != "a" {
			t.Errorf("nominated %q", p.Status.NominatedNodeName)
		}
		s.after(time.Second)
		victim, err := client.Get[*corev1.Pod](t.Context(), s.c, "default", "low")
		if err == nil && victim.DeletionTimestamp == nil {
			t.Error("victim lives")
		}
		if err == nil {
			c := victim.Status.Conditions[0]
			if c.Type != corev1.DisruptionTarget || c.Reason != "PreemptionByScheduler" {
				t.Errorf("victim's condition %+v", c)
			}
		}
		got := s.ev.take()
		for _, want := range []string{
			"default-scheduler vip Warning FailedScheduling: 0/1 nodes are available: 1 Insufficient cpu.",
			"default-scheduler low Normal Preempted: Preempted by pod pod-vip on node a",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("no event %q in:\n%s", want, got)
			}
		}
		// A pod of the same priority cannot take the room.
		s.create(pod("late", ask("1", "1Gi"), priority(10)))
		s.wantNode("late", "")
		// The kubelet ends the victim.
		_ = client.Delete[*corev1.Pod](t.Context(), s.c, "default", "low", metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
		s.after(time.Minute)
		s.wantNode("vip", "a")
		s.wantNode("late", "a")
	}, node("a"), pod("low", ask("3", "1Gi"), on("a")))
}

func TestBindFailureIsTriedAgain(t *testing.T) {
	fail := true
	play(t, func(s *stage) {
		s.c.Refuse = func(w clienttest.Write, _ api.Object) error {
			if w.Verb == "bind" && fail {
				fail = false
				return apierrors.NewInternalError(errors.New("disk full"))
			}
			return nil
		}
		s.create(pod("x"))
		s.wantNode("x", "")
		s.after(2 * time.Second)
		s.wantNode("x", "a")
	}, node("a"))
}

func TestListsAgain(t *testing.T) {
	play(t, func(s *stage) {
		s.create(pod("one", ask("3", "1Gi")))
		s.wantNode("one", "a")
		s.c.Expire()
		synctest.Wait()
		s.create(pod("two", ask("3", "1Gi")))
		s.wantNode("two", "")
		s.create(node("b"))
		s.after(10 * time.Second)
		s.wantNode("two", "b")
	}, node("a"))
}

func TestWaitsForVolumes(t *testing.T) {
	late := storagev1.VolumeBindingWaitForFirstConsumer
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "disk"}, Provisioner: "example.com/disk", VolumeBindingMode: &late}
	name := "disk"
	pvc := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data"},
		Spec:       corev1.PersistentVolumeClaimSpec{StorageClassName: &name},
	}
	play(t, func(s *stage) {
		s.create(pod("x", claim("data")))
		s.wantNode("x", "")
		s.wantEvents(`default-scheduler x Warning FailedScheduling: 0/1 nodes are available: persistentvolumeclaim "data" not found. ` +
			"preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.")
		s.create(pvc)
		s.after(time.Second)
		s.wantNode("x", "")
		s.wantEvents()
		c, err := client.Get[*corev1.PersistentVolumeClaim](t.Context(), s.c, "default", "data")
		if err != nil || c.Annotations["volume.kubernetes.io/selected-node"] != "a" {
			t.Fatalf("annotations %v, %v", c.Annotations, err)
		}
		s.create(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "vol"}})
		c = c.DeepCopy()
		c.Spec.VolumeName = "vol"
		c.Annotations["pv.kubernetes.io/bind-completed"] = "yes"
		if _, err := client.Update(t.Context(), s.c, c); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.wantNode("x", "a")
		// Nobody makes this one.
		other := pvc.DeepCopy()
		other.Name = "never"
		s.c.Add(other)
		s.create(pod("y", claim("never")))
		s.ev.take()
		s.after(11 * time.Minute)
		s.wantNode("y", "")
		if got := s.ev.take(); !strings.Contains(got, `FailedScheduling: running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded`) {
			t.Errorf("events: %s", got)
		}
	}, node("a"), class)
}
