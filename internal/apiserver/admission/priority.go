package admission

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/client"
)

// priority sets a pod's number from its class, or from the default class, and
// keeps the default class the only one.
type priority struct{ c client.Reader }

func (p priority) admit(ctx context.Context, a *Attributes) error {
	pod := a.Object.(*corev1.Pod)
	if a.Operation == Update {
		// Clients that do not know the fields send them empty.
		old := a.Old.(*corev1.Pod)
		if pod.Spec.Priority == nil {
			pod.Spec.Priority = old.Spec.Priority
		}
		if pod.Spec.PreemptionPolicy == nil {
			pod.Spec.PreemptionPolicy = old.Spec.PreemptionPolicy
		}
		return nil
	}
	class, err := p.class(ctx, pod.Spec.PriorityClassName)
	if err != nil {
		if apierrors.IsNotFound(err) {
			return a.forbidden("no PriorityClass with name %s was found", pod.Spec.PriorityClassName)
		}
		return err
	}
	var value int32
	policy := corev1.PreemptLowerPriority
	if class != nil {
		pod.Spec.PriorityClassName = class.Name
		value = class.Value
		if class.PreemptionPolicy != nil {
			policy = *class.PreemptionPolicy
		}
	}
	if pod.Spec.Priority != nil && *pod.Spec.Priority != value {
		return a.forbidden("the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *pod.Spec.Priority, value)
	}
	if pod.Spec.PreemptionPolicy != nil && *pod.Spec.PreemptionPolicy != policy {
		return a.forbidden("the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority admission controller computed %s from the given PriorityClass name", *pod.Spec.PreemptionPolicy, policy)
	}
	pod.Spec.Priority, pod.Spec.PreemptionPolicy = &value, &policy
	return nil
}

// validate looks at classes: one of them at most is the default.
func (p priority) validate(ctx context.Context, a *Attributes) error {
	class := a.Object.(*schedulingv1.PriorityClass)
	if !class.GlobalDefault {
		return nil
	}
	have, err := p.class(ctx, "")
	if err != nil {
		return err
	}
	if have != nil && (a.Operation == Create || have.Name != class.Name) {
		return a.forbidden("PriorityClass %v is already marked as default. Only one default can exist", have.Name)
	}
	return nil
}

// class is the named one, or the one marked as global default with the lowest value; nil when there is none.
func (p priority) class(ctx context.Context, name string) (*schedulingv1.PriorityClass, error) {
	if name != "" {
		return client.Get[*schedulingv1.PriorityClass](ctx, p.c, "", name)
	}
	classes, err := client.List[*schedulingv1.PriorityClass](ctx, p.c, "", nil)
	if err != nil {
		return nil, err
	}
	var best *schedulingv1.PriorityClass
	for _, c := range classes {
		if c.GlobalDefault && (best == nil || c.Value < best.Value) {
			best = c
		}
	}
	return best, nil
}
