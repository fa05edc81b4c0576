package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

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
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError,
			Message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."}}
	}
	if !ready(pod) && unguarded(mine[0]) {
		return nil
	}
	t := target{res: all.For[*policyv1.PodDisruptionBudget](), sub: "status", ns: pod.Namespace, name: mine[0].Name, user: auth.System, dryRun: dryRun, warn: func(string) {}}
	_, err = s.update(ctx, t, mine[0].UID, func(old api.Object) (api.Object, error) {
		b := old.DeepCopyObject().(*policyv1.PodDisruptionBudget)
		b.ResourceVersion = ""
		if err := spendable(b); err != nil {
			return nil, err
		}
		b.Status.DisruptionsAllowed--
		if b.Status.DisruptionsAllowed == 0 {
			apimeta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse,
				Reason: policyv1.InsufficientPodsReason, ObservedGeneration: b.Status.ObservedGeneration, LastTransitionTime: metav1.Time{Time: s.now()}})
		}
		if b.Status.DisruptedPods == nil {
			b.Status.DisruptedPods = map[string]metav1.Time{}
		}
		b.Status.DisruptedPods[pod.Name] = metav1.Time{Time: s.now()}
		return b, nil
	})
	return err
}

func ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// unguarded tells that pods which are not ready may go for nothing: always, if the budget says so,
// or while enough others are healthy.
func unguarded(b *policyv1.PodDisruptionBudget) bool {
	if p := b.Spec.UnhealthyPodEvictionPolicy; p != nil && *p == policyv1.AlwaysAllow {
		return true
	}
	return b.Status.DesiredHealthy > 0 && b.Status.CurrentHealthy >= b.Status.DesiredHealthy
}

// maxDisrupted is how many evicted pods a budget remembers until its controller has seen them go.
const maxDisrupted = 2000

// spendable says why a budget has no disruption left.
func spendable(b *policyv1.PodDisruptionBudget) error {
	forbidden := func(why string) error {
		return apierrors.NewForbidden(schema.GroupResource{Group: "policy", Resource: "poddisruptionbudget"}, b.Name, errors.New(why))
	}
	switch {
	case b.Status.ObservedGeneration < b.Generation:
		return tooManyEvictions(10, "The disruption budget %s is still being processed by the server.", b.Name)
	case b.Status.DisruptionsAllowed < 0:
		return forbidden("pdb disruptions allowed is negative")
	case len(b.Status.DisruptedPods) > maxDisrupted:
		return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller")
	case b.Status.DisruptionsAllowed > 0:
		return nil
	}
	if c := apimeta.FindStatusCondition(b.Status.Conditions, policyv1.DisruptionAllowedCondition); c != nil && c.Status == metav1.ConditionFalse && c.Reason == policyv1.SyncFailedReason {
		return tooManyEvictions(0, "The disruption budget %s does not allow evicting pods currently because it failed sync: %v", b.Name, c.Message)
	}
	return tooManyEvictions(0, "The disruption budget %s needs %d healthy pods and has %d currently", b.Name, b.Status.DesiredHealthy, b.Status.CurrentHealthy)
}

func tooManyEvictions(seconds int, format string, a ...any) error {
	err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", seconds)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: policyv1.DisruptionBudgetCause, Message: fmt.Sprintf(format, a...)})
	return err
}
