package apiserver

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/apiserver/admission"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// evict deletes a pod if its disruption budget allows one more disruption.
func (s *Server) evict(ctx context.Context, t target, o metav1.DeleteOptions) error {
	e := s.cache(t.res).get(t.key())
	if e == nil {
		return t.notFound()
	}
	pod := e.object().(*corev1.Pod)
	attrs := admission.Attributes{Operation: admission.Create, Resource: t.res, Subresource: "eviction", Namespace: t.ns, Name: t.name, User: t.user, Old: pod, DryRun: t.dryRun, Warn: t.warn}
	if err := s.admission.Validate(ctx, &attrs); err != nil {
		return err
	}
	// Whatever does not run, or is on its way out, disrupts nothing.
	free := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodPending || pod.DeletionTimestamp != nil
	if !free {
		if err := s.spendDisruption(ctx, pod, t.dryRun); err != nil {
			return err
		}
	}
	_, _, err := s.remove(ctx, t, o)
	return err
}

func (s *Server) spendDisruption(ctx context.Context, pod *corev1.Pod, dryRun bool) error {
	c := s.Client(auth.System)
	budgets, err := client.List[*policyv1.PodDisruptionBudget](ctx, c, pod.Namespace, nil)
	if err != nil {
		return err
	}
	var mine []*policyv1.PodDisruptionBudget
	for _, b := range budgets {
		sel, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err == nil && sel.Matches(labels.Set(pod.Labels)) {
			mine = append(mine, b)
		}
	}
	switch len(mine) {
	case 0:
		return nil
	case 1:
	default:
		return apierrors.NewInternalError(errors.New("this pod has more than one PodDisruptionBudget, which the eviction subresource does not support"))
	}
	t := target{res: all.For[*policyv1.PodDisruptionBudget](), sub: "status", ns: pod.Namespace, name: mine[0].Name, user: auth.System, dryRun: dryRun, warn: func(string) {}}
	_, err = s.update(ctx, t, mine[0].UID, func(old api.Object) (api.Object, error) {
		b := old.DeepCopyObject().(*policyv1.PodDisruptionBudget)
		b.ResourceVersion = ""
		if b.Status.ObservedGeneration < b.Generation {
			return nil, tooManyEvictions(b, "The disruption budget %s is still being processed by the server.", b.Name)
		}
		if b.Status.DisruptionsAllowed <= 0 {
			return nil, tooManyEvictions(b, "The disruption budget %s needs %d healthy pods and has %d currently", b.Name, b.Status.DesiredHealthy, b.Status.CurrentHealthy)
		}
		b.Status.DisruptionsAllowed--
		if b.Status.DisruptedPods == nil {
			b.Status.DisruptedPods = map[string]metav1.Time{}
		}
		b.Status.DisruptedPods[pod.Name] = metav1.Time{Time: s.now()}
		return b, nil
	})
	return err
}

func tooManyEvictions(b *policyv1.PodDisruptionBudget, format string, a ...any) error {
	err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: policyv1.DisruptionBudgetCause, Message: fmt.Sprintf(format, a...)})
	return err
}
