package clienttest

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// gone tells whether nothing holds a deleted object any more.
func gone(o api.Object) bool {
	if len(o.GetFinalizers()) > 0 {
		return false
	}
	if ns, ok := o.(*corev1.Namespace); ok && len(ns.Spec.Finalizers) > 0 {
		return false
	}
	grace := o.GetDeletionGracePeriodSeconds()
	return grace == nil || *grace == 0
}

// propagate turns the policy into the finalizers that the garbage collector acts on.
func propagate(o api.Object, policy *metav1.DeletionPropagation) {
	if policy == nil {
		return
	}
	f := slices.DeleteFunc(slices.Clone(o.GetFinalizers()), func(s string) bool {
		return s == metav1.FinalizerOrphanDependents || s == metav1.FinalizerDeleteDependents
	})
	switch *policy {
	case metav1.DeletePropagationOrphan:
		f = append(f, metav1.FinalizerOrphanDependents)
	case metav1.DeletePropagationForeground:
		f = append(f, metav1.FinalizerDeleteDependents)
	}
	o.SetFinalizers(f)
}

// podGrace is how long the deletion of a pod waits for its node.
func podGrace(p *corev1.Pod, asked *int64) int64 {
	if p.Spec.NodeName == "" || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return 0
	}
	switch {
	case asked != nil:
		return *asked
	case p.Spec.TerminationGracePeriodSeconds != nil:
		return *p.Spec.TerminationGracePeriodSeconds
	}
	return corev1.DefaultTerminationGracePeriodSeconds
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }
