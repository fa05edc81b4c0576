package resource

import (
	"github.com/skiff-k8s/skiff/internal/api/meta"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ResourceClaimTemplate is all there is about ResourceClaimTemplate objects on the server.
var ResourceClaimTemplate = api.Kind[resourcev1.ResourceClaimTemplate]{
	Version: resourcev1.SchemeGroupVersion, Resource: "resourceclaimtemplates", Namespaced: true,
	List:     &resourcev1.ResourceClaimTemplateList{},
	Versions: templateVersions,
	Default:  func(o *resourcev1.ResourceClaimTemplate) { defaultClaim(&o.Spec.Spec) },
	Validate: func(o *resourcev1.ResourceClaimTemplate) field.ErrorList {
		errs := meta.Labels(o.Spec.Labels, specPath.Child("metadata", "labels"))
		return append(errs, validateClaim(&o.Spec.Spec, specPath.Child("spec"))...)
	},
	ValidateUpdate: func(next, old *resourcev1.ResourceClaimTemplate) field.ErrorList {
		if !equality.Semantic.DeepEqual(next.Spec, old.Spec) {
			return field.ErrorList{field.Invalid(specPath, meta.GoNames(next.Spec), meta.FieldImmutable)}
		}
		return nil
	},
	Columns: api.Columns[resourcev1.ResourceClaimTemplate]{
		api.NameColumn[resourcev1.ResourceClaimTemplate](),
		api.AgeColumn[resourcev1.ResourceClaimTemplate](),
	},
}
