package deployment

import (
	"math"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// rollout is a Deployment and its ReplicaSets while a step works on them. All
// of them are copies.
type rollout struct {
	v      controller.View
	d      *appsv1.Deployment
	status appsv1.DeploymentStatus // the next one
	news   *appsv1.ReplicaSet      // with the Deployment's template; nil when there is none yet
	olds   []*appsv1.ReplicaSet    // oldest first

	was    map[types.UID]*appsv1.ReplicaSet // as read
	order  []*appsv1.ReplicaSet             // what was scaled, in order
	events map[string][]controller.Event    // by the name of the ReplicaSet that was scaled
	create bool                             // news has to be created
	remove []*appsv1.ReplicaSet             // history beyond the limit
	before *appsv1.Deployment               // d as read
}

// Step decides what to do about one Deployment.
func Step(v controller.View, k controller.Key) (controller.Plan, error) {
	d, err := client.Get[*appsv1.Deployment](v.Context, v, k.Namespace, k.Name)
	if errors.IsNotFound(err) {
		return controller.Plan{}, nil
	}
	if err != nil {
		return controller.Plan{}, err
	}
	sel, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return controller.Plan{}, err
	}
	if sel.Empty() {
		return selectsAll(d), nil
	}
	r, adopt, err := begin(v, d, sel)
	if err != nil {
		return controller.Plan{}, err
	}
	// Adopting writes ReplicaSets, and that wakes the Deployment again.
	if len(adopt) > 0 {
		return controller.Plan{Do: adopt}, nil
	}
	if r.wantsRollback() {
		return controller.Plan{Do: r.rollBack()}, nil
	}
	if err := r.advance(); err != nil {
		return controller.Plan{}, err
	}
	return controller.Plan{Do: r.actions(), After: r.deadline()}, nil
}

// selectsAll refuses a selector that would take every pod of the namespace.
func selectsAll(d *appsv1.Deployment) controller.Plan {
	if d.Status.ObservedGeneration >= d.Generation {
		return controller.Plan{}
	}
	c := d.DeepCopy()
	c.Status.ObservedGeneration = d.Generation
	return controller.Plan{Do: []controller.Action{
		{Event: &controller.Event{About: d, Type: corev1.EventTypeWarning, Reason: "SelectingAll",
			Message: "This deployment is selecting all pods. A non-empty selector is required."}},
		{UpdateStatus: c},
	}}
}

func begin(v controller.View, d *appsv1.Deployment, sel labels.Selector) (*rollout, []controller.Action, error) {
	family, err := controller.Family[*appsv1.ReplicaSet](v, d, sel)
	if err != nil {
		return nil, nil, err
	}
	sets, adopt := controller.Claim(d, sel, family)
	slices.SortFunc(sets, olderFirst)
	r := &rollout{
		v: v, before: d, d: d.DeepCopy(), status: *d.Status.DeepCopy(),
		was: map[types.UID]*appsv1.ReplicaSet{}, events: map[string][]controller.Event{},
	}
	r.v.Now = v.Now.Truncate(time.Second) // as precise as times in objects are
	for _, rs := range sets {
		r.was[rs.UID] = rs
		c := rs.DeepCopy()
		if r.news == nil && sameTemplate(&c.Spec.Template, &d.Spec.Template) {
			r.news = c
		} else {
			r.olds = append(r.olds, c)
		}
	}
	return r, adopt, nil
}

// advance changes the copies by one move of the rollout.
func (r *rollout) advance() error {
	switch {
	case r.d.DeletionTimestamp != nil:
		r.syncStatus()
		return nil
	case r.d.Spec.Paused:
		r.pausing()
		r.reviseNew()
		r.scale()
		r.cleanUp()
		r.syncStatus()
		return nil
	}
	r.pausing()
	if r.resized() {
		r.reviseNew()
		r.scale()
		r.syncStatus()
		return nil
	}
	if r.d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		if err := r.recreate(); err != nil {
			return err
		}
	} else if err := r.roll(); err != nil {
		return err
	}
	r.syncProgress()
	return nil
}

// resized tells whether the number of replicas was changed since the active
// ReplicaSets got theirs: then they are scaled first, and the rollout waits.
func (r *rollout) resized() bool {
	for _, rs := range r.sets() {
		if replicas(rs) == 0 {
			continue
		}
		if n, ok := number(rs, desiredAnnotation); ok && n != replicas(r.d) {
			return true
		}
	}
	return false
}

// sets are all ReplicaSets, the new one last.
func (r *rollout) sets() []*appsv1.ReplicaSet {
	if r.news == nil {
		return r.olds
	}
	return append(slices.Clone(r.olds), r.news)
}

// actions are what makes the cluster as the copies are.
func (r *rollout) actions() []controller.Action {
	var do []controller.Action
	if r.create {
		do = append(do, r.creation())
	}
	sets := append(slices.Clone(r.order), r.sets()...)
	for i, rs := range sets {
		was := r.was[rs.UID]
		if was == nil || slices.Contains(sets[:i], rs) || equality.Semantic.DeepEqual(was, rs) {
			continue
		}
		do = append(do, controller.Action{Update: rs, Then: func(api.Object) []controller.Action { return r.told(rs.Name) }})
	}
	for _, rs := range r.remove {
		do = append(do, controller.Action{Delete: &controller.Delete{Object: rs, Options: metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &rs.UID}}}})
	}
	// The revision's annotation goes along with the status: an update of the object
	// itself would count as a change of what is wanted.
	if !equality.Semantic.DeepEqual(r.status, r.before.Status) || !equality.Semantic.DeepEqual(r.d.Annotations, r.before.Annotations) {
		r.d.Status = r.status
		do = append(do, controller.Action{UpdateStatus: r.d})
	}
	return do
}

// told are the events about one ReplicaSet, for when it was written.
func (r *rollout) told(name string) []controller.Action {
	var do []controller.Action
	for _, e := range r.events[name] {
		do = append(do, controller.Action{Event: &e})
	}
	return do
}

type scaled interface {
	*appsv1.Deployment | *appsv1.ReplicaSet
}

// replicas is what the object asks for; without a number that is one.
func replicas[T scaled](o T) int32 {
	var n *int32
	switch o := any(o).(type) {
	case *appsv1.Deployment:
		n = o.Spec.Replicas
	case *appsv1.ReplicaSet:
		n = o.Spec.Replicas
	}
	if n == nil {
		return 1
	}
	return *n
}

// hasDeadline tells whether progress is watched at all.
func hasDeadline(d *appsv1.Deployment) bool {
	return d.Spec.ProgressDeadlineSeconds != nil && *d.Spec.ProgressDeadlineSeconds != math.MaxInt32
}

func olderFirst(a, b *appsv1.ReplicaSet) int {
	if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
		return c
	}
	if a.Name < b.Name {
		return -1
	}
	return 1
}
