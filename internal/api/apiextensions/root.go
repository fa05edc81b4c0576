package apiextensions

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// besideStatus are the fields that the root of a schema may have when objects have a status of their own: the
// schema of that status is taken out of the properties, and nothing else of the root may be about it.
var besideStatus = []string{"Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum", "MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items", "Properties", "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations"}

// root checks the whole schema of a version, or that of all of them. With sameSchema, the schema is the one
// that is stored.
func (d demand) root(v *apiextensions.CustomResourceValidation, hasStatus, sameSchema bool, at *field.Path) field.ErrorList {
	if v == nil {
		return nil
	}
	var errs field.ErrorList
	if v.OpenAPIV3Schema != nil {
		errs = d.rootSchema(v.OpenAPIV3Schema, hasStatus, sameSchema, at.Child("openAPIV3Schema"))
	}
	if len(errs) > 0 {
		return errs
	}
	if _, _, err := validation.NewSchemaValidator(v.OpenAPIV3Schema); err != nil {
		return field.ErrorList{field.Invalid(at, "", fmt.Sprintf("error building validator: %v", err))}
	}
	return nil
}

func (d demand) rootSchema(s *apiextensions.JSONSchemaProps, hasStatus, sameSchema bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if hasStatus {
		errs = validateBesideStatus(s, at)
	}
	if s.Nullable {
		errs = append(errs, field.Forbidden(at.Child("nullable"), "nullable cannot be true at the root"))
	}
	var unfit field.ErrorList // said only when nothing better is
	check := schemaCheck{demand: d, anyCost: sameSchema}
	var scope *ruleScope
	if d.structural {
		var more field.ErrorList
		more, unfit = d.structure(s, at)
		errs = append(errs, more...)
		if len(more)+len(unfit) == 0 {
			scope = rootScope(s)
		}
	}
	found, ofRules := check.schema(s, at, place{root: true}, scope)
	errs = append(append(errs, found...), ofRules...)
	if len(errs) == 0 {
		errs = unfit
	}
	return append(errs, scope.overBudget(at)...)
}

// structure checks that the schema is structural and that its defaults are valid. What makes it impossible to
// find out is told apart: the rest of the validation has better words for it.
func (d demand) structure(s *apiextensions.JSONSchemaProps, at *field.Path) (errs, unfit field.ErrorList) {
	ss, err := schema.NewStructural(s)
	if err != nil {
		return nil, field.ErrorList{field.Invalid(at, "", err.Error())}
	}
	if errs := schema.ValidateStructural(at, ss); len(errs) > 0 {
		return errs, nil
	}
	errs, err = defaulting.ValidateDefaults(context.Background(), at, ss, true, d.prunedDefaults)
	if err != nil {
		return field.ErrorList{field.Invalid(at, "", err.Error())}, nil
	}
	slices.SortStableFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Field, b.Field) })
	return errs, nil
}

// validateBesideStatus names the first field that the root may not have.
func validateBesideStatus(s *apiextensions.JSONSchemaProps, at *field.Path) field.ErrorList {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch {
		case v.Field(i).IsZero():
		case name == "Type" && s.Type != "object":
			return field.ErrorList{field.Invalid(at.Child("type"), s.Type, `only "object" is allowed as the type at the root of the schema if the status subresource is enabled`)}
		case !slices.Contains(besideStatus, name):
			return field.ErrorList{field.Invalid(at, *s, fmt.Sprintf(`only %v fields are allowed at the root of the schema if the status subresource is enabled`, besideStatus))}
		}
	}
	return nil
}
