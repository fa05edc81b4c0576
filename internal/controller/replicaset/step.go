package replicaset

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// burst is how many pods one step creates or deletes at most.
const burst = 500

// step is the decision about one set.
func step(v controller.View, s *set) (controller.Plan, error) {
	family, err := controller.Family[*corev1.Pod](v, s.object, s.selector)
	if err != nil {
		return controller.Plan{}, err
	}
	pods, do := controller.Claim(s.object, s.selector, family)
	var active, terminating []*corev1.Pod
	for _, p := range pods {
		switch {
		case controller.PodActive(p):
			active = append(active, p)
		case p.DeletionTimestamp != nil && !controller.PodTerminal(p):
			terminating = append(terminating, p)
		}
	}
	next, wait := s.count(active, len(terminating), v)
	missing := int(s.replicas) - len(active)
	if s.object.GetDeletionTimestamp() != nil {
		missing = 0
	}
	switch {
	case missing > 0:
		do = append(do, s.create(v, min(missing, burst), next))
	case missing < 0:
		rank, err := related(v, s, active)
		if err != nil {
			return controller.Plan{}, err
		}
		do = append(do, s.remove(v, victims(active, rank, -missing, v.Now)[:min(-missing, burst)], next))
	}
	// A failure that the actions above tell about is not forgotten here, in the
	// state from before them: the condition goes when nothing is missing, or when the actions succeed.
	next = withoutFailure(next)
	if !equality.Semantic.DeepEqual(next, s.status) {
		do = append(do, controller.Action{UpdateStatus: s.withStatus(next)})
	}
	return controller.Plan{Do: do, After: wait}, nil
}

// create makes n pods from the template.
func (s *set) create(v controller.View, n int, status status) controller.Action {
	var pods []controller.Action
	for range n {
		pods = append(pods, controller.Action{
			Create: s.pod(),
			Then: func(pod api.Object) []controller.Action {
				return told(s.object, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: "+pod.GetName())
			},
			Else: func(err error) []controller.Action {
				// In a namespace that is going, nothing can be made, and nobody needs to hear of it.
				if errors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
					return []controller.Action{{Fail: err}}
				}
				return append(told(s.object, corev1.EventTypeWarning, "FailedCreate", "Error creating: "+err.Error()), controller.Action{Fail: err})
			},
		})
	}
	return controller.Action{SlowStart: pods, Else: func(err error) []controller.Action {
		if errors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil
		}
		return s.failed(v, status, "FailedCreate", err)
	}}
}

// remove deletes the pods.
func (s *set) remove(v controller.View, victims []*corev1.Pod, status status) controller.Action {
	var pods []controller.Action
	for _, p := range victims {
		pods = append(pods, controller.Action{
			Delete: &controller.Delete{Object: p, Options: metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}}},
			Then: func(api.Object) []controller.Action {
				return told(s.object, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: "+p.Name)
			},
			Else: func(err error) []controller.Action {
				return append(told(s.object, corev1.EventTypeWarning, "FailedDelete", "Error deleting: "+err.Error()), controller.Action{Fail: err})
			},
		})
	}
	return controller.Action{SlowStart: pods, Else: func(err error) []controller.Action {
		return s.failed(v, status, "FailedDelete", err)
	}}
}

// failed tells of a failure in the status, and ends the step with it.
func (s *set) failed(v controller.View, next status, reason string, err error) []controller.Action {
	next = withFailure(next, reason, err.Error(), v.Now)
	fail := controller.Action{Fail: err}
	if equality.Semantic.DeepEqual(next, s.status) {
		return []controller.Action{fail}
	}
	return []controller.Action{{UpdateStatus: s.withStatus(next)}, fail}
}

func told(about api.Object, typ, reason, message string) []controller.Action {
	return []controller.Action{{Event: &controller.Event{About: about, Type: typ, Reason: reason, Message: message}}}
}

// pod is a new pod of the set.
func (s *set) pod() *corev1.Pod {
	t := s.template.DeepCopy()
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.object.GetNamespace(), GenerateName: fmt.Sprintf("%s-", s.object.GetName()),
			Labels: t.Labels, Annotations: t.Annotations, Finalizers: t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(s.object, all.Of(s.object).GVK)},
		},
		Spec: t.Spec,
	}
}

// related counts, by node, the active pods of all sets that share this one's
// owner (the ReplicaSets of one Deployment): where there are more, one can go.
func related(v controller.View, s *set, own []*corev1.Pod) (map[string]int, error) {
	onNode := map[string]int{}
	tally := func(pods []*corev1.Pod) {
		for _, p := range pods {
			if controller.PodActive(p) {
				onNode[p.Spec.NodeName]++
			}
		}
	}
	owner := metav1.GetControllerOfNoCopy(s.object)
	if owner == nil {
		tally(own)
		return onNode, nil
	}
	siblings, err := v.ByIndex(v.Context, all.Of(s.object), api.IndexOwner, string(owner.UID))
	if err != nil {
		return nil, err
	}
	for _, sibling := range siblings {
		pods, err := client.OwnedBy[*corev1.Pod](v.Context, v, sibling.GetUID())
		if err != nil {
			return nil, err
		}
		tally(pods)
	}
	return onNode, nil
}
