package scheduler

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/scheduler/plugins"
)

// bind writes the decision. The pod counts on its node already.
func (s *Scheduler) bind(t *tracked, node string) {
	pod := t.pod.Obj
	s.write(func(ctx context.Context) {
		err := s.Client.Bind(ctx, pod.Namespace, pod.Name, pod.UID, node)
		if err == nil {
			s.Events.Record(s.Name, pod, corev1.EventTypeNormal, "Scheduled", "Binding",
				fmt.Sprintf("Successfully assigned %s/%s to %s", pod.Namespace, pod.Name, node))
			return
		}
		if ctx.Err() == nil {
			s.mail.put(func() { s.unassume(t, fmt.Errorf("binding rejected: %w", err)) })
		}
	})
}

// unassume takes back a decision that could not be written.
func (s *Scheduler) unassume(t *tracked, err error) {
	o := t.pod.Obj
	if s.pods[o.UID] != t || !t.assumed {
		return // gone, or bound all the same
	}
	if apierrors.IsNotFound(err) || o.DeletionTimestamp != nil {
		s.forget(t)
		return
	}
	s.Log.Error("binding failed, will retry", "namespace", o.Namespace, "pod", o.Name, "err", err)
	t.assumed = false
	s.core.Snapshot.Remove(t.pod)
	s.queue.retry(&t.entry, s.Now())
	s.wake(plugins.Change{Kind: plugins.PodGone, Pod: t.pod})
	s.reportFailure(t, report{corev1.PodReasonSchedulerError, err.Error(), ""})
}
