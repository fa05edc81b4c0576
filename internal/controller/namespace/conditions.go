package namespace

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// withConditions returns a copy that tells what is left and what went wrong.
func withConditions(ns *corev1.Namespace, left []content, failure error, now time.Time) *corev1.Namespace {
	c := ns.DeepCopy()
	set := func(t corev1.NamespaceConditionType, bad bool, reasons [2]string, messages [2]string) {
		status, i := corev1.ConditionFalse, 0
		if bad {
			status, i = corev1.ConditionTrue, 1
		}
		n := corev1.NamespaceCondition{Type: t, Status: status, Reason: reasons[i], Message: messages[i], LastTransitionTime: metav1.NewTime(now).Rfc3339Copy()}
		at := slices.IndexFunc(c.Status.Conditions, func(x corev1.NamespaceCondition) bool { return x.Type == t })
		if at < 0 {
			c.Status.Conditions = append(c.Status.Conditions, n)
			return
		}
		if c.Status.Conditions[at].Status == status {
			n.LastTransitionTime = c.Status.Conditions[at].LastTransitionTime
		}
		c.Status.Conditions[at] = n
	}
	set(corev1.NamespaceDeletionDiscoveryFailure, false,
		[2]string{"ResourcesDiscovered", "DiscoveryFailed"}, [2]string{"All resources successfully discovered"})
	set(corev1.NamespaceDeletionGVParsingFailure, false,
		[2]string{"ParsedGroupVersions", "GroupVersionParsingFailed"}, [2]string{"All legacy kube types successfully parsed"})
	set(corev1.NamespaceDeletionContentFailure, failure != nil,
		[2]string{"ContentDeleted", "ContentDeletionFailed"},
		[2]string{"All content successfully deleted, may be waiting on finalization", fmt.Sprintf("Failed to delete all resource types, %d remaining: %v", len(left), failure)})
	resources, finalizers := remaining(left)
	set(corev1.NamespaceContentRemaining, len(resources) > 0,
		[2]string{"ContentRemoved", "SomeResourcesRemain"},
		[2]string{"All content successfully removed", "Some resources are remaining: " + strings.Join(resources, ", ")})
	set(corev1.NamespaceFinalizersRemaining, len(finalizers) > 0,
		[2]string{"ContentHasNoFinalizers", "SomeFinalizersRemain"},
		[2]string{"All content-preserving finalizers finished", "Some content in the namespace has finalizers remaining: " + strings.Join(finalizers, ", ")})
	return c
}

// remaining describes what is left by kind, and by the finalizers that hold it.
func remaining(left []content) (resources, finalizers []string) {
	held := map[string]int{}
	for _, c := range left {
		resources = append(resources, fmt.Sprintf("%s.%s has %d resource instances", c.row.GVR.Resource, c.row.GVR.Group, len(c.objects)))
		for _, o := range c.objects {
			for _, f := range o.GetFinalizers() {
				held[f]++
			}
		}
	}
	for f, n := range held {
		finalizers = append(finalizers, fmt.Sprintf("%s in %d resource instances", f, n))
	}
	slices.Sort(resources)
	slices.Sort(finalizers)
	return resources, finalizers
}
