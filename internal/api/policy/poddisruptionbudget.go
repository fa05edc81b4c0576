package policy

import (
	policyv1 "k8s.io/api/policy/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// PodDisruptionBudget is all there is about PodDisruptionBudget objects on the server.
var PodDisruptionBudget = api.Kind[policyv1.PodDisruptionBudget]{
	Version: policyv1.SchemeGroupVersion, Resource: "poddisruptionbudgets", Short: []string{"pdb"}, Namespaced: true,
	List:   &policyv1.PodDisruptionBudgetList{},
	Status: api.StatusOf(func(o *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudgetStatus { return &o.Status }),
	Spec:   func(o *policyv1.PodDisruptionBudget) any { return &o.Spec },
}
