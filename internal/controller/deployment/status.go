package deployment

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	reasonAvailable = "NewReplicaSetAvailable"
	reasonTimedOut  = "ProgressDeadlineExceeded"
	reasonPaused    = "DeploymentPaused"
)

// syncStatus brings the counters up to date.
func (r *rollout) syncStatus() {
	sets := r.countable()
	conditions := r.status.Conditions
	r.status = appsv1.DeploymentStatus{
		ObservedGeneration: r.d.Generation, CollisionCount: r.d.Status.CollisionCount, Conditions: conditions,
		Replicas:          sum(sets, func(rs *appsv1.ReplicaSet) int32 { return rs.Status.Replicas }),
		ReadyReplicas:     sum(sets, func(rs *appsv1.ReplicaSet) int32 { return rs.Status.ReadyReplicas }),
		AvailableReplicas: sum(sets, available),
	}
	if r.news != nil {
		r.status.UpdatedReplicas = r.news.Status.Replicas
	}
	// More can be available than wanted, while scaling down.
	r.status.UnavailableReplicas = max(0, sum(sets, replicas)-r.status.AvailableReplicas)
	terminating := int32(0)
	r.status.TerminatingReplicas = &terminating
	for _, rs := range sets {
		switch n := rs.Status.TerminatingReplicas; {
		case n != nil && r.status.TerminatingReplicas != nil:
			terminating += *n
		case n == nil && rs.Status.ObservedGeneration > 0:
			r.status.TerminatingReplicas = nil // not known
		}
	}
	_, unavailable := bounds(r.d)
	if r.status.AvailableReplicas >= replicas(r.d)-unavailable {
		r.setCondition(appsv1.DeploymentAvailable, corev1.ConditionTrue, "MinimumReplicasAvailable", "Deployment has minimum availability.")
	} else {
		r.setCondition(appsv1.DeploymentAvailable, corev1.ConditionFalse, "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
	}
}

// countable are the ReplicaSets that are not about to be removed.
func (r *rollout) countable() []*appsv1.ReplicaSet {
	return slices.DeleteFunc(r.sets(), func(rs *appsv1.ReplicaSet) bool { return slices.Contains(r.remove, rs) })
}

// syncProgress is syncStatus, and tells how the rollout goes.
func (r *rollout) syncProgress() {
	r.syncStatus()
	current := condition(&r.status, appsv1.DeploymentProgressing)
	if !hasDeadline(r.d) {
		r.dropCondition(appsv1.DeploymentProgressing)
	}
	done := r.status.Replicas == r.status.UpdatedReplicas && current != nil && current.Reason == reasonAvailable
	if hasDeadline(r.d) && !done {
		what := fmt.Sprintf("Deployment %q", r.d.Name)
		if r.news != nil {
			what = fmt.Sprintf("ReplicaSet %q", r.news.Name)
		}
		switch {
		case complete(r.d, &r.status):
			r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonAvailable, what+" has successfully progressed.")
		case progressing(&r.before.Status, &r.status):
			// The time of the update is what the deadline counts from: it is set even
			// when nothing else in the condition changes.
			since := r.now()
			if current != nil && current.Status == corev1.ConditionTrue {
				since = current.LastTransitionTime
			}
			r.dropCondition(appsv1.DeploymentProgressing)
			r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue, "ReplicaSetUpdated", what+" is progressing.")
			r.status.Conditions[len(r.status.Conditions)-1].LastTransitionTime = since
		case r.timedOut(current):
			r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionFalse, reasonTimedOut, what+" has timed out progressing.")
		}
	}
	if c := r.failure(); c != nil {
		r.setCondition(appsv1.DeploymentReplicaFailure, c.Status, c.Reason, c.Message)
	} else {
		r.dropCondition(appsv1.DeploymentReplicaFailure)
	}
}

// complete tells whether all replicas are of the new template, and available.
func complete(d *appsv1.Deployment, s *appsv1.DeploymentStatus) bool {
	n := replicas(d)
	return s.UpdatedReplicas == n && s.Replicas == n && s.AvailableReplicas == n && s.ObservedGeneration >= d.Generation
}

// progressing tells whether the rollout is further than it was.
func progressing(was, is *appsv1.DeploymentStatus) bool {
	return is.UpdatedReplicas > was.UpdatedReplicas ||
		is.Replicas-is.UpdatedReplicas < was.Replicas-was.UpdatedReplicas ||
		is.ReadyReplicas > was.ReadyReplicas || is.AvailableReplicas > was.AvailableReplicas
}

func (r *rollout) timedOut(c *appsv1.DeploymentCondition) bool {
	switch {
	case c == nil || c.Reason == reasonAvailable:
		return false
	case c.Reason == reasonTimedOut:
		return true
	}
	return r.due(c) < 0
}

// due is how long the rollout may go on without progress.
func (r *rollout) due(c *appsv1.DeploymentCondition) time.Duration {
	return c.LastUpdateTime.Add(time.Duration(*r.d.Spec.ProgressDeadlineSeconds) * time.Second).Sub(r.v.Now)
}

// deadline is when to look whether progress has stopped; 0: it need not be looked at.
func (r *rollout) deadline() time.Duration {
	c := condition(&r.status, appsv1.DeploymentProgressing)
	if !hasDeadline(r.d) || c == nil || r.d.Spec.Paused || complete(r.d, &r.status) || c.Reason == reasonTimedOut || c.Reason == reasonAvailable {
		return 0
	}
	return max(0, r.due(c)) + time.Second
}

// failure is what keeps a ReplicaSet from making pods, of the new one first.
func (r *rollout) failure() *appsv1.ReplicaSetCondition {
	sets := r.sets()
	slices.Reverse(sets)
	for _, rs := range sets {
		for i, c := range rs.Status.Conditions {
			if c.Type == appsv1.ReplicaSetReplicaFailure {
				return &rs.Status.Conditions[i]
			}
		}
	}
	return nil
}

// pausing tells that the rollout was paused or resumed: the deadline does not count meanwhile.
func (r *rollout) pausing() {
	if !hasDeadline(r.d) {
		return
	}
	c := condition(&r.status, appsv1.DeploymentProgressing)
	if c != nil && c.Reason == reasonTimedOut {
		return
	}
	paused := c != nil && c.Reason == reasonPaused
	switch {
	case r.d.Spec.Paused && !paused:
		r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionUnknown, reasonPaused, "Deployment is paused")
	case !r.d.Spec.Paused && paused:
		r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionUnknown, "DeploymentResumed", "Deployment is resumed")
	}
}

func (r *rollout) now() metav1.Time { return metav1.NewTime(r.v.Now) }

func condition(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			c := s.Conditions[i]
			return &c
		}
	}
	return nil
}

// setCondition sets a condition unless it has that status and reason already.
func (r *rollout) setCondition(t appsv1.DeploymentConditionType, s corev1.ConditionStatus, reason, message string) {
	c := appsv1.DeploymentCondition{Type: t, Status: s, Reason: reason, Message: message, LastUpdateTime: r.now(), LastTransitionTime: r.now()}
	if was := condition(&r.status, t); was != nil {
		if was.Status == s && was.Reason == reason {
			return
		}
		if was.Status == s {
			c.LastTransitionTime = was.LastTransitionTime
		}
	}
	r.dropCondition(t)
	r.status.Conditions = append(r.status.Conditions, c)
}

func (r *rollout) dropCondition(t appsv1.DeploymentConditionType) {
	r.status.Conditions = slices.DeleteFunc(slices.Clone(r.status.Conditions), func(c appsv1.DeploymentCondition) bool { return c.Type == t })
}
