package deployment

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// bounds are how many pods more than wanted there may be and how many fewer may
// be available. Percentages of the surge are rounded up, those of the
// unavailable down; when both come to nothing, one may be unavailable, or nothing would ever move.
func bounds(d *appsv1.Deployment) (surge, unavailable int32) {
	n := replicas(d)
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType || n == 0 {
		return maxSurge(d), 0
	}
	surge = maxSurge(d)
	if ru := d.Spec.Strategy.RollingUpdate; ru != nil {
		unavailable = portion(ru.MaxUnavailable, n, false)
	}
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return surge, min(unavailable, n)
}

func maxSurge(d *appsv1.Deployment) int32 {
	ru := d.Spec.Strategy.RollingUpdate
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType || ru == nil {
		return 0
	}
	return portion(ru.MaxSurge, replicas(d), true)
}

func portion(v *intstr.IntOrString, of int32, up bool) int32 {
	n, err := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(v, intstr.FromInt32(0)), int(of), up)
	if err != nil {
		return 0 // validation has refused it
	}
	return int32(n)
}

// roll moves replicas from the old ReplicaSets to the new one: one move up, or else one move down.
func (r *rollout) roll() error {
	if err := r.ensureNew(); err != nil {
		return err
	}
	if r.create || r.growNew() || r.shrinkOld() {
		return nil
	}
	if complete(r.d, &r.d.Status) {
		r.cleanUp()
	}
	return nil
}

func (r *rollout) growNew() bool {
	want := replicas(r.d)
	switch n := replicas(r.news); {
	case n == want:
		return false
	case n > want:
		return r.scaleTo(r.news, want)
	}
	return r.scaleTo(r.news, r.newSize())
}

// newSize is how many replicas the new ReplicaSet may have now.
func (r *rollout) newSize() int32 {
	want, n := replicas(r.d), replicas(r.news)
	if r.d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return want
	}
	surge, _ := bounds(r.d)
	room := want + surge - sum(r.sets(), replicas)
	if room <= 0 {
		return n
	}
	return n + min(room, want-n)
}

func (r *rollout) shrinkOld() bool {
	if sum(r.olds, replicas) == 0 {
		return false
	}
	_, unavailable := bounds(r.d)
	least := replicas(r.d) - unavailable
	// Pods of the new ReplicaSet that are not available yet count as if they never
	// will be: else a broken template would take all good pods with it.
	room := sum(r.sets(), replicas) - least - (replicas(r.news) - r.news.Status.AvailableReplicas)
	if room <= 0 {
		return false
	}
	moved := false
	// Old pods that do not work go first: they serve nobody.
	for _, rs := range r.olds {
		n := replicas(rs)
		if bad := min(room, n-rs.Status.AvailableReplicas); n > 0 && bad > 0 {
			moved = r.scaleTo(rs, n-bad) || moved
			room -= bad
		}
	}
	spare := sum(r.sets(), staying) - least
	for _, rs := range r.olds {
		if less := min(spare, replicas(rs)); less > 0 {
			moved = r.scaleTo(rs, replicas(rs)-less) || moved
			spare -= less
		}
	}
	return moved
}

func available(rs *appsv1.ReplicaSet) int32 { return rs.Status.AvailableReplicas }

// staying is how many available pods a ReplicaSet will have. Its status may still count some that the
// last move down takes away: counted twice, the next move would take more than may be unavailable.
func staying(rs *appsv1.ReplicaSet) int32 { return min(replicas(rs), rs.Status.AvailableReplicas) }

func sum(sets []*appsv1.ReplicaSet, f func(*appsv1.ReplicaSet) int32) (n int32) {
	for _, rs := range sets {
		n += f(rs)
	}
	return n
}
