package quota

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Recount is what is in use of what a quota limits. list gives the objects of a
// kind in the quota's namespace; it is asked only for kinds that the quota counts.
func Recount(q *corev1.ResourceQuota, rows []*api.Resource, now time.Time, list func(*api.Resource) ([]api.Object, error)) (corev1.ResourceList, error) {
	used := corev1.ResourceList{}
	for _, r := range rows {
		if !Counted(r) || !Looks(q, r) {
			continue
		}
		tracked := func(name corev1.ResourceName) bool { _, ok := q.Spec.Hard[name]; return ok && Tracks(r, name) }
		for name := range mask(q.Spec.Hard, tracked) {
			if _, ok := used[name]; !ok {
				used[name] = count(0)
			}
		}
		objects, err := list(r)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			if InScope(q, o) {
				used = add(used, mask(Usage(r, o, now), tracked))
			}
		}
	}
	return used, nil
}
