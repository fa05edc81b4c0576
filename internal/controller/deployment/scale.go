package deployment

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/controller"
)

const (
	desiredAnnotation = "deployment.kubernetes.io/desired-replicas"
	maxAnnotation     = "deployment.kubernetes.io/max-replicas"
)

// scale follows a change of the number of replicas outside a rollout, or in the
// middle of one: then every active ReplicaSet gets its share, so that a scaled rollout is
// as safe as it was before.
func (r *rollout) scale() {
	only := r.only()
	switch {
	case only != nil:
		r.scaleTo(only, replicas(r.d))
	case r.saturated():
		for _, rs := range r.olds {
			r.scaleTo(rs, 0)
		}
	case r.d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType:
		r.share()
	}
	// One that had the right size by chance has followed, too: else the rollout
	// would wait for it for ever.
	for _, rs := range r.active() {
		r.annotateSize(rs)
	}
}

// only is the one ReplicaSet to scale when not more than one is active.
func (r *rollout) only() *appsv1.ReplicaSet {
	active := r.active()
	switch {
	case len(active) == 1:
		return active[0]
	case len(active) > 1:
		return nil
	case r.news != nil:
		return r.news
	case len(r.olds) > 0:
		return r.olds[len(r.olds)-1]
	}
	return nil
}

func (r *rollout) active() []*appsv1.ReplicaSet {
	return slices.DeleteFunc(r.sets(), func(rs *appsv1.ReplicaSet) bool { return replicas(rs) == 0 })
}

// saturated tells whether the new ReplicaSet has all replicas, available.
func (r *rollout) saturated() bool {
	if r.news == nil {
		return false
	}
	n, ok := number(r.news, desiredAnnotation)
	want := replicas(r.d)
	return ok && n == want && replicas(r.news) == want && r.news.Status.AvailableReplicas == want
}

// share spreads the replicas to add or take over the active ReplicaSets in
// proportion to their sizes; the largest gets what rounding leaves.
func (r *rollout) share() {
	active := r.active()
	if len(active) == 0 {
		return
	}
	var allowed int32
	if replicas(r.d) > 0 {
		allowed = replicas(r.d) + maxSurge(r.d)
	}
	add := allowed - sum(active, replicas)
	slices.SortStableFunc(active, func(a, b *appsv1.ReplicaSet) int {
		age := olderFirst(a, b)
		if add > 0 {
			age = -age
		}
		return cmp.Or(cmp.Compare(replicas(b), replicas(a)), age)
	})
	sizes := make([]int32, len(active))
	var added int32
	for i, rs := range active {
		n := r.fraction(rs)
		if add > 0 {
			n = min(n, add-added)
		} else {
			n = max(n, add-added)
		}
		if add == 0 || add == added {
			n = 0
		}
		sizes[i] = replicas(rs) + n
		added += n
	}
	for i, rs := range active {
		if i == 0 && add != 0 {
			sizes[i] = max(0, sizes[i]+add-added)
		}
		r.scaleTo(rs, sizes[i])
	}
}

// fraction is by how much a ReplicaSet would change if it kept its share of the whole.
func (r *rollout) fraction(rs *appsv1.ReplicaSet) int32 {
	if replicas(r.d) == 0 {
		return -replicas(rs)
	}
	before, ok := number(rs, maxAnnotation)
	if !ok || before == 0 {
		// Without the annotation, what there is has to do.
		if before = r.d.Status.Replicas; before == 0 {
			return 0
		}
	}
	after := replicas(r.d) + maxSurge(r.d)
	return int32(math.Round(float64(replicas(rs))*float64(after)/float64(before))) - replicas(rs)
}

// scaleTo sets the size of a ReplicaSet; false when it has it.
func (r *rollout) scaleTo(rs *appsv1.ReplicaSet, n int32) bool {
	was := replicas(rs)
	if was == n {
		return false
	}
	rs.Spec.Replicas = &n
	r.annotateSize(rs)
	way := "up"
	if n < was {
		way = "down"
	}
	r.order = append(r.order, rs)
	r.events[rs.Name] = append(r.events[rs.Name], controller.Event{
		About: r.before, Type: corev1.EventTypeNormal, Reason: "ScalingReplicaSet",
		Message: fmt.Sprintf("Scaled %s replica set %s from %d to %d", way, rs.Name, was, n),
	})
	return true
}

// annotateSize notes in a ReplicaSet for which size of the Deployment it was scaled.
func (r *rollout) annotateSize(rs *appsv1.ReplicaSet) {
	annotate(rs, desiredAnnotation, strconv.Itoa(int(replicas(r.d))))
	annotate(rs, maxAnnotation, strconv.Itoa(int(replicas(r.d)+maxSurge(r.d))))
}

func annotate(rs *appsv1.ReplicaSet, key, value string) {
	if rs.Annotations == nil {
		rs.Annotations = map[string]string{}
	}
	rs.Annotations[key] = value
}

// number reads an annotation that the controller has written.
func number(rs *appsv1.ReplicaSet, key string) (int32, bool) {
	n, err := strconv.ParseInt(rs.Annotations[key], 10, 32)
	return int32(n), err == nil
}
