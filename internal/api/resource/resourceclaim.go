package resource

import (
	"github.com/skiff-k8s/skiff/internal/api/meta"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ResourceClaim is all there is about ResourceClaim objects on the server.
var ResourceClaim = api.Kind[resourcev1.ResourceClaim]{
	Version: resourcev1.SchemeGroupVersion, Resource: "resourceclaims", Namespaced: true,
	List:     &resourcev1.ResourceClaimList{},
	Versions: claimVersions,
	Status:   api.StatusOf(func(o *resourcev1.ResourceClaim) *resourcev1.ResourceClaimStatus { return &o.Status }).WithValidate(validateClaimStatus).Only(),
	Default:  func(o *resourcev1.ResourceClaim) { defaultClaim(&o.Spec) },
	Validate: func(o *resourcev1.ResourceClaim) field.ErrorList { return validateClaim(&o.Spec, specPath) },
	ValidateUpdate: func(next, old *resourcev1.ResourceClaim) field.ErrorList {
		if !equality.Semantic.DeepEqual(next.Spec, old.Spec) {
			return field.ErrorList{field.Invalid(specPath, meta.GoNames(next.Spec), meta.FieldImmutable)}
		}
		return nil
	},
	Columns: api.Columns[resourcev1.ResourceClaim]{
		api.NameColumn[resourcev1.ResourceClaim](),
		api.Text("State", "A summary of the current state (allocated, pending, reserved, etc.).", func(o *resourcev1.ResourceClaim) any { return claimState(o) }),
		api.AgeColumn[resourcev1.ResourceClaim](),
	},
}
