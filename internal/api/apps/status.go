package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var statusPath = field.NewPath("status")

// A count is one of the numbers of a status that another one bounds.
type count struct {
	name string
	n    int32
	most int32
	text string
}

const (
	overReplicas = "cannot be greater than status.replicas"
	overReady    = "cannot be greater than status.readyReplicas"
)

func bounded(counts ...count) field.ErrorList {
	var errs field.ErrorList
	for _, c := range counts {
		if c.n > c.most {
			errs = append(errs, field.Invalid(statusPath.Child(c.name), c.n, c.text))
		}
	}
	return errs
}

// collisions only grow: the count salts the names of what the controller makes.
func collisions(next, old *int32) field.ErrorList {
	errs := meta.NonNegativeAt(next, statusPath, "collisionCount")
	if old == nil || next != nil && *next >= *old {
		return errs
	}
	n := int32(0)
	if next != nil {
		n = *next
	}
	return append(errs, field.Invalid(statusPath.Child("collisionCount"), n, "cannot be decremented"))
}

func validateDeploymentStatus(next, old *appsv1.Deployment) field.ErrorList {
	s := &next.Status
	errs := meta.NonNegative(s.ObservedGeneration, statusPath, "observedGeneration")
	errs = append(errs, meta.NonNegative(s.Replicas, statusPath, "replicas")...)
	errs = append(errs, meta.NonNegative(s.UpdatedReplicas, statusPath, "updatedReplicas")...)
	errs = append(errs, meta.NonNegative(s.ReadyReplicas, statusPath, "readyReplicas")...)
	errs = append(errs, meta.NonNegative(s.AvailableReplicas, statusPath, "availableReplicas")...)
	errs = append(errs, meta.NonNegative(s.UnavailableReplicas, statusPath, "unavailableReplicas")...)
	errs = append(errs, meta.NonNegativeAt(s.TerminatingReplicas, statusPath, "terminatingReplicas")...)
	errs = append(errs, bounded(
		count{"updatedReplicas", s.UpdatedReplicas, s.Replicas, overReplicas},
		count{"readyReplicas", s.ReadyReplicas, s.Replicas, overReplicas},
		count{"availableReplicas", s.AvailableReplicas, s.Replicas, overReplicas},
		count{"availableReplicas", s.AvailableReplicas, s.ReadyReplicas, "cannot be greater than readyReplicas"},
	)...)
	return append(errs, collisions(s.CollisionCount, old.Status.CollisionCount)...)
}

func validateStatefulSetStatus(next, old *appsv1.StatefulSet) field.ErrorList {
	s := &next.Status
	errs := meta.NonNegative(s.Replicas, statusPath, "replicas")
	errs = append(errs, meta.NonNegative(s.ReadyReplicas, statusPath, "readyReplicas")...)
	errs = append(errs, meta.NonNegative(s.CurrentReplicas, statusPath, "currentReplicas")...)
	errs = append(errs, meta.NonNegative(s.UpdatedReplicas, statusPath, "updatedReplicas")...)
	errs = append(errs, meta.NonNegative(s.AvailableReplicas, statusPath, "availableReplicas")...)
	errs = append(errs, meta.NonNegative(s.ObservedGeneration, statusPath, "observedGeneration")...)
	errs = append(errs, bounded(
		count{"readyReplicas", s.ReadyReplicas, s.Replicas, overReplicas},
		count{"currentReplicas", s.CurrentReplicas, s.Replicas, overReplicas},
		count{"updatedReplicas", s.UpdatedReplicas, s.Replicas, overReplicas},
		count{"availableReplicas", s.AvailableReplicas, s.Replicas, overReplicas},
		count{"availableReplicas", s.AvailableReplicas, s.ReadyReplicas, overReady},
	)...)
	return append(errs, collisions(s.CollisionCount, old.Status.CollisionCount)...)
}

func validateDaemonSetStatus(next, old *appsv1.DaemonSet) field.ErrorList {
	s := &next.Status
	errs := meta.NonNegative(s.CurrentNumberScheduled, statusPath, "currentNumberScheduled")
	errs = append(errs, meta.NonNegative(s.NumberMisscheduled, statusPath, "numberMisscheduled")...)
	errs = append(errs, meta.NonNegative(s.DesiredNumberScheduled, statusPath, "desiredNumberScheduled")...)
	errs = append(errs, meta.NonNegative(s.NumberReady, statusPath, "numberReady")...)
	errs = append(errs, meta.NonNegative(s.ObservedGeneration, statusPath, "observedGeneration")...)
	errs = append(errs, meta.NonNegative(s.UpdatedNumberScheduled, statusPath, "updatedNumberScheduled")...)
	errs = append(errs, meta.NonNegative(s.NumberAvailable, statusPath, "numberAvailable")...)
	errs = append(errs, meta.NonNegative(s.NumberUnavailable, statusPath, "numberUnavailable")...)
	return append(errs, collisions(s.CollisionCount, old.Status.CollisionCount)...)
}
