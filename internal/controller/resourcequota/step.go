package resourcequota

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/quota"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

const (
	// settle is when a new or changed quota is counted once more: writes that were under way
	// when it came have looked at the quotas before it was there.
	settle = time.Second
	// rounds bounds how often a count is begun anew at once because something was charged meanwhile.
	rounds = 20
)

func step(v controller.View, k controller.Key, rows []*api.Resource) (controller.Plan, error) {
	do, fresh, err := recount(v, k, rows, rounds)
	p := controller.Plan{Do: do}
	if fresh {
		p.After = settle
	}
	return p, err
}

// recount gives the write that makes the status true; fresh tells that the quota's spec was not in it yet.
func recount(v controller.View, k controller.Key, rows []*api.Resource, left int) (do []controller.Action, fresh bool, err error) {
	q, err := client.Get[*corev1.ResourceQuota](v.Context, v, k.Namespace, k.Name)
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	used, err := quota.Recount(q, rows, v.Now, func(r *api.Resource) ([]api.Object, error) {
		objects, _, err := v.List(v.Context, r, k.Namespace, client.Selector{})
		return objects, err
	})
	if err != nil {
		return nil, false, err
	}
	next := quota.WithUsed(q, used)
	if equality.Semantic.DeepEqual(next.Status, q.Status) {
		return nil, false, nil
	}
	write := controller.Action{UpdateStatus: next}
	write.Else = func(err error) []controller.Action {
		if apierrors.IsConflict(err) && left > 0 {
			again, _, aerr := recount(v, k, rows, left-1)
			if aerr == nil {
				return again
			}
			err = aerr
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return []controller.Action{{Fail: err}}
	}
	return []controller.Action{write}, !quota.Current(q), nil
}
