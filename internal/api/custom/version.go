package custom

import (
	"fmt"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Version is a custom kind in one of its versions.
type Version struct {
	GVK             schema.GroupVersionKind
	GVR             schema.GroupVersionResource
	Served, Storage bool
	Deprecated      string // what every request is warned with; empty: nothing
	Columns         []api.ResourceColumn
	Fields          map[string]func(api.Object) string
	Status          *api.ResourceStatus
	Scale           *api.ResourceScale
	Row             *api.Resource

	namespaced bool
	loose      bool // preserveUnknownFields of the definition
	again      Source
	selectable []apiextensionsv1.SelectableField
	scalePaths *scalePaths
	compiled   func() *compiled
	full       fullKept
}

func newVersion(crd *apiextensionsv1.CustomResourceDefinition, spec *apiextensionsv1.CustomResourceDefinitionVersion, again Source) *Version {
	v := &Version{
		GVK:    gvkOf(crd, spec.Name),
		GVR:    schema.GroupVersionResource{Group: crd.Spec.Group, Version: spec.Name, Resource: acceptedNames(crd).Plural},
		Served: spec.Served, Storage: spec.Storage,
		Deprecated: deprecation(crd, spec), again: again, selectable: spec.SelectableFields, loose: crd.Spec.PreserveUnknownFields,
		namespaced: crd.Spec.Scope == apiextensionsv1.NamespaceScoped,
	}
	v.compiled = sync.OnceValue(v.compile)
	v.Columns = columns(spec.AdditionalPrinterColumns)
	v.Fields = fields(spec.SelectableFields, v.namespaced)
	if s := spec.Subresources; s != nil {
		if s.Status != nil {
			v.Status = v.status()
		}
		if s.Scale != nil {
			v.scalePaths = newScalePaths(s.Scale)
			v.Scale = v.scalePaths.resource()
		}
	}
	v.Row = v.row(crd)
	return v
}

// schema is the version's schema in the form that the libraries take; nil: there is none.
func (v *Version) schema() (*apiextensions.JSONSchemaProps, error) {
	for _, spec := range v.again().Spec.Versions {
		if spec.Name != v.GVK.Version {
			continue
		}
		if spec.Schema == nil || spec.Schema.OpenAPIV3Schema == nil {
			return nil, nil
		}
		var in apiextensions.JSONSchemaProps
		err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(spec.Schema.OpenAPIV3Schema, &in, nil)
		return &in, err
	}
	return nil, fmt.Errorf("the definition has no version %s any more", v.GVK.Version)
}
