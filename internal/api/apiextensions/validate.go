package apiextensions

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var (
	specPath     = field.NewPath("spec")
	statusPath   = field.NewPath("status")
	approvalPath = field.NewPath("metadata", "annotations").Key(apiextensionsv1.KubeAPIApprovedAnnotation)
)

// inMemory is the form in which Kubernetes validates a definition. It shares memory with the definition.
func inMemory(o *apiextensionsv1.CustomResourceDefinition) (*apiextensions.CustomResourceDefinition, field.ErrorList) {
	out := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(o, out, nil); err != nil {
		return nil, field.ErrorList{field.InternalError(specPath, err)}
	}
	return out, nil
}

func validate(o *apiextensionsv1.CustomResourceDefinition) field.ErrorList {
	crd, errs := inMemory(o)
	if errs != nil {
		return errs
	}
	errs = append(validateName(crd), newDemand().spec(&crd.Spec)...)
	errs = append(errs, validateNames(&crd.Status.AcceptedNames, statusPath.Child("acceptedNames"))...)
	errs = append(errs, validateStoredVersions(crd)...)
	errs = append(errs, validateApproval(crd, nil)...)
	return append(errs, validatePreserve(crd, nil)...)
}

func validateUpdate(next, old *apiextensionsv1.CustomResourceDefinition) field.ErrorList {
	crd, errs := inMemory(next)
	if errs != nil {
		return errs
	}
	was, errs := inMemory(old)
	if errs != nil {
		return errs
	}
	d := demandOf(crd, was)
	errs = d.spec(&crd.Spec)
	if d.fixedNames {
		// Where and as what objects are stored follows from these.
		errs = append(errs, immutable(crd.Spec.Scope, was.Spec.Scope, specPath.Child("scope"))...)
		errs = append(errs, immutable(crd.Spec.Names.Kind, was.Spec.Names.Kind, specPath.Child("names", "kind"))...)
	}
	// The name of the definition follows from these.
	errs = append(errs, immutable(crd.Spec.Group, was.Spec.Group, specPath.Child("group"))...)
	errs = append(errs, immutable(crd.Spec.Names.Plural, was.Spec.Names.Plural, specPath.Child("names", "plural"))...)
	errs = append(errs, validateNames(&crd.Status.AcceptedNames, statusPath.Child("acceptedNames"))...)
	errs = append(errs, validateStoredVersions(crd)...)
	errs = append(errs, validateApproval(crd, was)...)
	return append(errs, validatePreserve(crd, was)...)
}

func validateStatusUpdate(next, _ *apiextensionsv1.CustomResourceDefinition) field.ErrorList {
	crd, errs := inMemory(next)
	if errs != nil {
		return errs
	}
	return validateNames(&crd.Status.AcceptedNames, statusPath.Child("acceptedNames"))
}

func immutable[T comparable](next, old T, at *field.Path) field.ErrorList {
	if next == old {
		return nil
	}
	return field.ErrorList{field.Invalid(at, next, meta.FieldImmutable)}
}

// validateName checks what the rules of names for all kinds leave open.
func validateName(crd *apiextensions.CustomResourceDefinition) field.ErrorList {
	var errs field.ErrorList
	want := crd.Spec.Names.Plural + "." + crd.Spec.Group
	for _, n := range []struct{ at, name string }{{"generateName", crd.GenerateName}, {"name", crd.Name}} {
		if n.name != "" && n.name != want {
			errs = append(errs, field.Invalid(field.NewPath("metadata", n.at), n.name, `must be spec.names.plural+"."+spec.group`))
		}
	}
	return errs
}

func validateStoredVersions(crd *apiextensions.CustomResourceDefinition) field.ErrorList {
	at, stored := statusPath.Child("storedVersions"), crd.Status.StoredVersions
	if len(stored) == 0 {
		return field.ErrorList{field.Invalid(at, stored, "must have at least one stored version")}
	}
	var errs field.ErrorList
	left := map[string]int{}
	for i, v := range stored {
		left[v] = i
	}
	for _, v := range crd.Spec.Versions {
		if _, ok := left[v.Name]; v.Storage && !ok {
			errs = append(errs, field.Invalid(at, stored, "must have the storage version "+v.Name))
		}
		delete(left, v.Name)
	}
	for _, v := range slices.Sorted(maps.Keys(left)) {
		errs = append(errs, field.Invalid(at.Index(left[v]), v, fmt.Sprintf("missing from spec.versions; %[1]s was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in %[1]s and removes %[1]s from status.storedVersions", v)))
	}
	return errs
}

// validateApproval asks for the annotation that groups of the Kubernetes project need. Whoever does not touch
// it may go on without.
func validateApproval(crd, old *apiextensions.CustomResourceDefinition) field.ErrorList {
	if !apihelpers.IsProtectedCommunityGroup(crd.Spec.Group) {
		return nil
	}
	state, reason := apihelpers.GetAPIApprovalState(crd.Annotations)
	if old != nil {
		if was, _ := apihelpers.GetAPIApprovalState(old.Annotations); was == state {
			return nil
		}
	}
	switch state {
	case apihelpers.APIApproved, apihelpers.APIApprovalBypassed:
		return nil
	case apihelpers.APIApprovalMissing:
		return field.ErrorList{field.Required(approvalPath, reason)}
	}
	return field.ErrorList{field.Invalid(approvalPath, crd.Annotations[apiextensionsv1.KubeAPIApprovedAnnotation], reason)}
}

func validatePreserve(crd, old *apiextensions.CustomResourceDefinition) field.ErrorList {
	if old != nil && preserves(&old.Spec) || !preserves(&crd.Spec) {
		return nil
	}
	return field.ErrorList{field.Invalid(specPath.Child("preserveUnknownFields"), true, "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead")}
}

// preserves tells that objects keep the fields that no schema knows.
func preserves(s *apiextensions.CustomResourceDefinitionSpec) bool {
	return s.PreserveUnknownFields == nil || *s.PreserveUnknownFields
}
