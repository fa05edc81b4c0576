package admission

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/client"
)

// priority sets a pod's number from its class, or from the default class.
type priority struct{ c client.Reader }

func (p priority) admit(ctx context.Context, a *Attributes) error {
	pod := a.Object.(*corev1.Pod)
	class, err := p.class(ctx, pod.Spec.PriorityClassName)
	if err != nil {
		if apierrors.IsNotFound(err) {
			return apierrors.NewForbidden(a.Resource.GroupResource(), a.Name, fmt.Errorf("no PriorityClass with name %s was found", pod.Spec.PriorityClassName))
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
		return apierrors.NewForbidden(a.Resource.GroupResource(), a.Name, fmt.Errorf("the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *pod.Spec.Priority, value))
	}
	pod.Spec.Priority = &value
	if pod.Spec.PreemptionPolicy == nil {
		pod.Spec.PreemptionPolicy = &policy
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
