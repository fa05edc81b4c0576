package scheduler

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/client"
)

// reportFailure tells, in an event and in the pod's condition, why it has no node,
// and which node is being made free for it.
func (s *Scheduler) reportFailure(pod *corev1.Pod, reason, message, nominated string) {
	s.Events.Record(s.Name, pod, corev1.EventTypeWarning, "FailedScheduling", "Scheduling", message)
	s.writeCondition(pod, reason, message, nominated)
}

func (s *Scheduler) reportGated(pod *corev1.Pod) {
	s.writeCondition(pod, corev1.PodReasonSchedulingGated, "Scheduling is blocked due to non-empty scheduling gates", "")
}

// writeCondition writes PodScheduled=False when it says something new.
func (s *Scheduler) writeCondition(pod *corev1.Pod, reason, message, nominated string) {
	if scheduledIs(pod, reason, message) && pod.Status.NominatedNodeName == nominated {
		return
	}
	s.write(func(ctx context.Context) {
		err := s.updateStatus(ctx, pod, func(p *corev1.Pod) bool {
			if p.Spec.NodeName != "" || scheduledIs(p, reason, message) && p.Status.NominatedNodeName == nominated {
				return false
			}
			p.Status.NominatedNodeName = nominated
			setCondition(p, corev1.PodCondition{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message,
				ObservedGeneration: pod.Generation,
			}, metav1.NewTime(s.Now()))
			return true
		})
		if err != nil && ctx.Err() == nil {
			s.Log.Error("cannot write the pod's condition", "namespace", pod.Namespace, "pod", pod.Name, "err", err)
		}
	})
}

// updateStatus changes the status of the pod as it is now. change returns false when
// there is nothing to do. A pod that is gone is no error.
func (s *Scheduler) updateStatus(ctx context.Context, pod *corev1.Pod, change func(*corev1.Pod) bool) error {
	for {
		now, err := client.Get[*corev1.Pod](ctx, s.Client, pod.Namespace, pod.Name)
		if apierrors.IsNotFound(err) || err == nil && now.UID != pod.UID {
			return nil
		}
		if err != nil {
			return err
		}
		next := now.DeepCopy()
		if !change(next) {
			return nil
		}
		_, err = client.UpdateStatus(ctx, s.Client, next)
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case !apierrors.IsConflict(err):
			return err
		}
		// Somebody was faster; the new state may need no change.
	}
}

func scheduledIs(p *corev1.Pod, reason, message string) bool {
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodScheduled {
			return c.Status == corev1.ConditionFalse && c.Reason == reason && c.Message == message
		}
	}
	return false
}

// setCondition puts a condition in; the time of transition is kept when the status is.
func setCondition(p *corev1.Pod, c corev1.PodCondition, now metav1.Time) {
	c.LastTransitionTime = now
	for i := range p.Status.Conditions {
		old := &p.Status.Conditions[i]
		if old.Type != c.Type {
			continue
		}
		if old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		*old = c
		return
	}
	p.Status.Conditions = append(p.Status.Conditions, c)
}
