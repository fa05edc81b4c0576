package policy

import (
	policyv1 "k8s.io/api/policy/v1"
	policyv1beta1 "k8s.io/api/policy/v1beta1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// An empty selector selects nothing in policy/v1beta1 and everything in policy/v1.
// A requirement that no pod meets, or that every pod meets, says the other.
const emptyMatch = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match"

func selectorWith(op metav1.LabelSelectorOperator) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: emptyMatch, Operator: op}}}
}

// swap exchanges an empty selector for its equal in the other version, and back.
func swap(s *metav1.LabelSelector, empty, was metav1.LabelSelectorOperator) *metav1.LabelSelector {
	switch {
	case s == nil:
		return nil
	case equality.Semantic.DeepEqual(s, &metav1.LabelSelector{}):
		return selectorWith(empty)
	case equality.Semantic.DeepEqual(s, selectorWith(was)):
		return &metav1.LabelSelector{}
	}
	return s
}

var budgetVersions = api.Versions{
	api.As[policyv1.PodDisruptionBudget, policyv1beta1.PodDisruptionBudget]{Version: policyv1beta1.SchemeGroupVersion, List: &policyv1beta1.PodDisruptionBudgetList{},
		Read: func(from *policyv1beta1.PodDisruptionBudget, to *policyv1.PodDisruptionBudget) error {
			err := api.Recode(from, to)
			to.Spec.Selector = swap(to.Spec.Selector, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist)
			return err
		},
		Show: func(from *policyv1.PodDisruptionBudget, to *policyv1beta1.PodDisruptionBudget) error {
			err := api.Recode(from, to)
			to.Spec.Selector = swap(to.Spec.Selector, metav1.LabelSelectorOpDoesNotExist, metav1.LabelSelectorOpExists)
			return err
		}},
}
