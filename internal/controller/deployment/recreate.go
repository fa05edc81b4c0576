package deployment

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// recreate lets all old pods end before the first new one begins.
func (r *rollout) recreate() error {
	moved := false
	if r.news != nil {
		r.reviseNew()
	}
	for _, rs := range r.olds {
		moved = r.scaleTo(rs, 0) || moved
	}
	if moved {
		return nil
	}
	running, err := r.oldRunning()
	if err != nil || running {
		return err
	}
	if err := r.ensureNew(); err != nil || r.create {
		return err
	}
	r.scaleTo(r.news, replicas(r.d))
	if complete(r.d, &r.d.Status) {
		r.cleanUp()
	}
	return nil
}

// oldRunning tells whether an old pod may still run: one that is only being deleted does.
func (r *rollout) oldRunning() (bool, error) {
	for _, rs := range r.olds {
		if rs.Status.Replicas > 0 {
			return true, nil
		}
		pods, err := client.OwnedBy[*corev1.Pod](r.v.Context, r.v, rs.UID)
		if err != nil {
			return false, err
		}
		for _, p := range pods {
			if !controller.PodTerminal(p) {
				return true, nil
			}
		}
	}
	return false, nil
}
