package apiextensions

import (
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// CustomResourceDefinition is all there is about definitions on the server. New ones have no finalizer: the
// one that keeps them until their objects are gone comes with their deletion (MarkDeleted).
var CustomResourceDefinition = api.Kind[apiextensionsv1.CustomResourceDefinition]{
	Version: apiextensionsv1.SchemeGroupVersion, Resource: "customresourcedefinitions", Short: []string{"crd", "crds"}, Categories: []string{"api-extensions"},
	Storage:         "apiextensions.k8s.io/customresourcedefinitions",
	LooseFinalizers: true,
	RequireVersion:  true,
	List:            &apiextensionsv1.CustomResourceDefinitionList{},
	Spec:            func(o *apiextensionsv1.CustomResourceDefinition) any { return &o.Spec },
	Status: api.StatusOf(func(o *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinitionStatus {
		return &o.Status
	}).WithValidate(validateStatusUpdate).Only(),
	Default:        setDefaults,
	Prepare:        storeVersion,
	PrepareUpdate:  func(next, _ *apiextensionsv1.CustomResourceDefinition) { storeVersion(next) },
	Validate:       validate,
	ValidateUpdate: validateUpdate,
	Warn:           warn,
}

func setDefaults(o *apiextensionsv1.CustomResourceDefinition) {
	names := &o.Spec.Names
	meta.Default(&names.Singular, strings.ToLower(names.Kind))
	if names.Kind != "" {
		meta.Default(&names.ListKind, names.Kind+"List")
	}
	meta.DefaultAt(&o.Spec.Conversion, apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.NoneConverter})
	if w := o.Spec.Conversion.Webhook; w != nil && w.ClientConfig == nil && w.ConversionReviewVersions == nil {
		o.Spec.Conversion.Webhook = nil // compat: one that says nothing is none
	} else if w != nil && w.ClientConfig != nil && w.ClientConfig.Service != nil {
		meta.DefaultAt(&w.ClientConfig.Service.Port, 443)
	}
	if len(o.Status.StoredVersions) == 0 {
		storeVersion(o)
	}
}

// storeVersion notes that objects may be stored in the version that is the storage version now. The status
// may be that of another object, so its list is replaced and not appended to.
func storeVersion(o *apiextensionsv1.CustomResourceDefinition) {
	for _, v := range o.Spec.Versions {
		if !v.Storage {
			continue
		}
		if stored := o.Status.StoredVersions; !slices.Contains(stored, v.Name) {
			o.Status.StoredVersions = append(slices.Clip(stored), v.Name)
		}
		return
	}
}
