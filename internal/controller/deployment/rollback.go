package deployment

import (
	"fmt"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/controller"
)

// rollbackTo is the revision that a client of the old API groups wants back: 0 is
// the one before the present one. Clients of apps/v1 change the template themselves.
func rollbackTo(d *appsv1.Deployment) (int64, bool) {
	n, err := strconv.ParseInt(d.Annotations[appsv1.DeprecatedRollbackTo], 10, 64)
	return n, err == nil
}

// wantsRollback tells whether to roll back first. Until the present template has a
// ReplicaSet, revisions are not what they will be; its creation wakes the Deployment again.
func (r *rollout) wantsRollback() bool {
	_, wanted := rollbackTo(r.d)
	return wanted && r.d.DeletionTimestamp == nil && !r.d.Spec.Paused && r.news != nil
}

// rollBack gives the Deployment the template of an earlier revision, or says why not.
// Either way the wish is done with; the rollout follows from the new template.
func (r *rollout) rollBack() []controller.Action {
	n, _ := rollbackTo(r.d)
	c := r.before.DeepCopy()
	delete(c.Annotations, appsv1.DeprecatedRollbackTo)
	e := controller.Event{About: r.before, Type: corev1.EventTypeWarning, Reason: "DeploymentRollbackRevisionNotFound"}
	if n == 0 {
		n = r.previousRevision()
	}
	from := r.ofRevision(n)
	switch {
	case n == 0:
		e.Message = "Unable to find last revision."
	case from == nil:
		e.Message = "Unable to find the revision to rollback to."
	case sameTemplate(&c.Spec.Template, &from.Spec.Template):
		e.Reason = "DeploymentRollbackTemplateUnchanged"
		e.Message = fmt.Sprintf("The rollback revision contains the same template as current deployment %q", c.Name)
	default:
		c.Spec.Template = *from.Spec.Template.DeepCopy()
		delete(c.Spec.Template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
		// The annotations of that time come along, or else the present ones would become those of the old revision.
		maps.DeleteFunc(c.Annotations, func(k, _ string) bool { return !ownAnnotations[k] })
		for k, v := range from.Annotations {
			if !ownAnnotations[k] {
				if c.Annotations == nil {
					c.Annotations = map[string]string{}
				}
				c.Annotations[k] = v
			}
		}
		e.Type, e.Reason = corev1.EventTypeNormal, "DeploymentRollback"
		e.Message = fmt.Sprintf("Rolled back deployment %q to revision %d", c.Name, n)
	}
	return []controller.Action{{Update: c}, {Event: &e}}
}

// previousRevision is the highest but one; 0 when there is none.
func (r *rollout) previousRevision() (second int64) {
	var first int64
	for _, rs := range r.sets() {
		if n := revision(rs); n > first {
			first, second = n, first
		} else if n > second {
			second = n
		}
	}
	return second
}

func (r *rollout) ofRevision(n int64) *appsv1.ReplicaSet {
	for _, rs := range r.sets() {
		if revision(rs) == n {
			return rs
		}
	}
	return nil
}
