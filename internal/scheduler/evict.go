package scheduler

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

// evict removes the victims, gracefully, for the pod that is to run on the node.
func (s *Scheduler) evict(t *tracked, victims []*snapshot.Pod, node string) {
	for _, v := range victims {
		s.preempting[v.Obj.UID] = true
		victim, preemptor := v.Obj, t.pod.Obj
		s.write(func(ctx context.Context) {
			if err := s.evictOne(ctx, victim); err != nil && ctx.Err() == nil {
				s.Log.Error("cannot preempt", "namespace", victim.Namespace, "pod", victim.Name, "err", err)
				s.mail.put(func() {
					delete(s.preempting, victim.UID)
					s.queue.wakeIf(s.Now(), func(e *entry) bool { return e.pod.Obj.UID == preemptor.UID })
				})
				return
			}
			s.Events.Record(s.Name, victim, corev1.EventTypeNormal, "Preempted", "Preempting",
				fmt.Sprintf("Preempted by pod %s on node %s", preemptor.UID, node))
		})
	}
	s.outbid(t, node)
}

func (s *Scheduler) evictOne(ctx context.Context, victim *corev1.Pod) error {
	err := s.updateStatus(ctx, victim, func(p *corev1.Pod) bool {
		if p.DeletionTimestamp != nil && preempted(p) {
			return false
		}
		setCondition(p, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler,
			Message:            s.Name + ": preempting to accommodate a higher priority pod",
			ObservedGeneration: p.Generation,
		}, metav1.NewTime(s.Now()))
		return true
	})
	if err != nil {
		return fmt.Errorf("mark as disrupted: %w", err)
	}
	err = client.Delete[*corev1.Pod](ctx, s.Client, victim.Namespace, victim.Name,
		metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(victim.UID))})
	// A conflict: another pod has the name now.
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return err
	}
	return nil
}

// outbid takes the node from pods of lower priority that waited for room there, and tries them anew.
func (s *Scheduler) outbid(t *tracked, node string) {
	waiting := append([]*snapshot.Pod(nil), s.core.Snapshot.Nominated(node)...)
	for _, p := range waiting {
		if p == t.pod || p.Priority >= t.pod.Priority {
			continue
		}
		s.core.Snapshot.Unnominate(p)
		pod := p.Obj
		s.pods[pod.UID].written = nil
		s.write(func(ctx context.Context) {
			err := s.updateStatus(ctx, pod, func(p *corev1.Pod) bool {
				changed := p.Status.NominatedNodeName == node
				p.Status.NominatedNodeName = ""
				return changed
			})
			if err != nil && ctx.Err() == nil {
				s.Log.Error("cannot take back a nomination", "namespace", pod.Namespace, "pod", pod.Name, "err", err)
			}
		})
		s.queue.wakeIf(s.Now(), func(e *entry) bool { return e.pod == p })
	}
}
