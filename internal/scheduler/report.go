package scheduler

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/client"
)

// report is what a pod's PodScheduled=False condition and nominated node shall say.
type report struct{ reason, message, nominated string }

// reportFailure tells, in an event and in the pod's condition, why it has no node,
// and which node is being made free for it.
func (s *Scheduler) reportFailure(t *tracked, r report) {
	s.Events.Record(s.Name, t.pod.Obj, corev1.EventTypeWarning, "FailedScheduling", "Scheduling", r.message)
	s.writeReport(t, r)
}

func (s *Scheduler) reportGated(t *tracked) {
	s.writeReport(t, report{corev1.PodReasonSchedulingGated, "Scheduling is blocked due to non-empty scheduling gates", ""})
}

// writeReport writes what is new, one write per pod at a time, so that the last word is the latest.
func (s *Scheduler) writeReport(t *tracked, r report) {
	if t.writing {
		t.unwritten = &r
		return
	}
	pod := t.pod.Obj
	// The watch may not have told yet of what was written last.
	if t.written != nil && *t.written == r || t.written == nil && r.isIn(pod) {
		return
	}
	t.writing, t.written = true, &r
	s.write(func(ctx context.Context) {
		err := s.updateStatus(ctx, pod, func(p *corev1.Pod) bool {
			if p.Spec.NodeName != "" || r.isIn(p) {
				return false
			}
			p.Status.NominatedNodeName = r.nominated
			setCondition(p, corev1.PodCondition{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: r.reason, Message: r.message,
				ObservedGeneration: pod.Generation,
			}, metav1.NewTime(s.Now()))
			return true
		})
		if err != nil && ctx.Err() == nil {
			s.Log.Error("cannot write the pod's condition", "namespace", pod.Namespace, "pod", pod.Name, "err", err)
		}
		s.mail.put(func() {
			if err != nil {
				t.written = nil
			}
			s.reportWritten(t)
		})
	})
}

func (s *Scheduler) reportWritten(t *tracked) {
	t.writing = false
	if r := t.unwritten; r != nil {
		t.unwritten = nil
		if t.place != nowhere {
			s.writeReport(t, *r)
		}
	}
}

// isIn tells whether the pod's status says all of it.
func (r *report) isIn(p *corev1.Pod) bool {
	if p.Status.NominatedNodeName != r.nominated {
		return false
	}
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodScheduled {
			return c.Status == corev1.ConditionFalse && c.Reason == r.reason && c.Message == r.message
		}
	}
	return false
}

// updateStatus changes the status of the pod as it is now. change returns false when
// there is nothing to do. A pod that is gone is no error.
func (s *Scheduler) updateStatus(ctx context.Context, pod *corev1.Pod, change func(*corev1.Pod) bool) error {
	for ctx.Err() == nil {
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
	return ctx.Err()
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
