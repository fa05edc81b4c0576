package policy

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// PodDisruptionBudget is all there is about PodDisruptionBudget objects on the server.
var PodDisruptionBudget = api.Kind[policyv1.PodDisruptionBudget]{
	Version: policyv1.SchemeGroupVersion, Resource: "poddisruptionbudgets", Short: []string{"pdb"}, Namespaced: true,
	Versions:       budgetVersions,
	RequireVersion: true, LooseFinalizers: true,
	List:           &policyv1.PodDisruptionBudgetList{},
	Status:         api.StatusOf(func(o *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudgetStatus { return &o.Status }).WithValidate(validateBudgetStatus),
	Spec:           func(o *policyv1.PodDisruptionBudget) any { return &o.Spec },
	Name:           api.NameIsPathSegment,
	Validate:       validateBudget,
	ValidateUpdate: func(next, _ *policyv1.PodDisruptionBudget) field.ErrorList { return validateBudget(next) },
	Columns: api.Columns[policyv1.PodDisruptionBudget]{
		api.NameColumn[policyv1.PodDisruptionBudget](),
		api.Text("Min Available", "The minimum number of pods that must be available.", func(o *policyv1.PodDisruptionBudget) any { return orNA(o.Spec.MinAvailable) }),
		api.Text("Max Unavailable", "The maximum number of pods that may be unavailable.", func(o *policyv1.PodDisruptionBudget) any { return orNA(o.Spec.MaxUnavailable) }),
		api.Number("Allowed Disruptions", "Calculated number of pods that may be disrupted at this time.", func(o *policyv1.PodDisruptionBudget) any { return int64(o.Status.DisruptionsAllowed) }),
		api.AgeColumn[policyv1.PodDisruptionBudget](),
	},
}
