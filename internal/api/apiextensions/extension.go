package apiextensions

import (
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	listTypes = []string{"atomic", "set", "map"}
	mapTypes  = []string{"atomic", "granular"}
)

func is(p *string, value string) bool { return p != nil && *p == value }

// itemsOf is the schema of the items of a list; nil: there is none.
func itemsOf(s *apiextensions.JSONSchemaProps) *apiextensions.JSONSchemaProps {
	if s.Items == nil {
		return nil
	}
	return s.Items.Schema
}

// extensions checks what says how lists and maps are merged. The rules of structural schemas know the rest of
// the extensions.
func (c schemaCheck) extensions(s *apiextensions.JSONSchemaProps, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p := s.XPreserveUnknownFields; p != nil && !*p {
		errs = append(errs, field.Invalid(at.Child("x-kubernetes-preserve-unknown-fields"), *p, "must be true or undefined"))
	}
	if s.XMapType != nil {
		errs = append(errs, typeFor(s, "object", "x-kubernetes-map-type", at)...)
		if !slices.Contains(mapTypes, *s.XMapType) {
			errs = append(errs, field.NotSupported(at.Child("x-kubernetes-map-type"), *s.XMapType, mapTypes))
		}
	}
	if s.XListType != nil {
		errs = append(errs, typeFor(s, "array", "x-kubernetes-list-type", at)...)
		if s.Type == "array" && c.atomicSets {
			errs = append(errs, validateSet(s, at.Child("items"))...)
		}
		if !slices.Contains(listTypes, *s.XListType) {
			errs = append(errs, field.NotSupported(at.Child("x-kubernetes-list-type"), *s.XListType, listTypes))
		}
	}
	if len(s.XListMapKeys) > 0 && !is(s.XListType, "map") {
		const why = "must be map if x-kubernetes-list-map-keys is non-empty"
		if at := at.Child("x-kubernetes-list-type"); s.XListType == nil {
			errs = append(errs, field.Required(at, why))
		} else {
			errs = append(errs, field.Invalid(at, *s.XListType, why))
		}
	}
	if is(s.XListType, "map") {
		errs = append(errs, validateListMap(s, at)...)
	}
	if c.listKeys {
		errs = append(errs, validateListKeys(s, at.Child("items"))...)
	}
	return errs
}

// typeFor asks for the type that an extension needs.
func typeFor(s *apiextensions.JSONSchemaProps, typ, extension string, at *field.Path) field.ErrorList {
	why := "must be " + typ + " if " + extension + " is specified"
	switch s.Type {
	case typ:
		return nil
	case "":
		return field.ErrorList{field.Required(at.Child("type"), why)}
	}
	return field.ErrorList{field.Invalid(at.Child("type"), s.Type, why)}
}

// validateSet refuses sets of what is merged field by field or item by item.
func validateSet(s *apiextensions.JSONSchemaProps, at *field.Path) field.ErrorList {
	if !hasGranularSet(s) {
		return nil
	}
	extension := "x-kubernetes-list-type"
	if itemsOf(s).Type == "object" {
		extension = "x-kubernetes-map-type"
	}
	// compat: the value is that of the list type in both cases.
	return field.ErrorList{field.Invalid(at.Child(extension), itemsOf(s).XListType, "must be atomic as item of a list with x-kubernetes-list-type=set")}
}

func hasGranularSet(s *apiextensions.JSONSchemaProps) bool {
	items := itemsOf(s)
	if !is(s.XListType, "set") || items == nil {
		return false
	}
	switch items.Type {
	case "array": // atomic when nothing is said
		return items.XListType != nil && *items.XListType != "atomic"
	case "object": // granular when nothing is said
		return !is(items.XMapType, "atomic")
	}
	return false
}

// enoughErrors are so many that no more are looked for: each shows all the keys.
const enoughErrors = 100

// validateListMap checks a list that is a map by its keys.
func validateListMap(s *apiextensions.JSONSchemaProps, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	keys := at.Child("x-kubernetes-list-map-keys")
	if len(s.XListMapKeys) == 0 {
		errs = append(errs, field.Required(keys, "must not be empty if x-kubernetes-list-type is map"))
	}
	at = at.Child("items")
	if s.Items == nil {
		return append(errs, field.Required(at, "must have a schema if x-kubernetes-list-type is map"))
	}
	items := s.Items.Schema
	if items == nil {
		return append(errs, field.Invalid(at, s.Items, "must only have a single schema if x-kubernetes-list-type is map"))
	}
	if items.Type != "object" {
		return append(errs, field.Invalid(at.Child("type"), items.Type, "must be object if parent array's x-kubernetes-list-type is map"))
	}
	seen := make(map[string]bool, len(s.XListMapKeys))
	for _, k := range s.XListMapKeys {
		if len(errs) > enoughErrors {
			return errs
		}
		if v, ok := items.Properties[k]; !ok {
			errs = append(errs, field.Invalid(keys, s.XListMapKeys, "entries must all be names of item properties"))
		} else if v.Type == "array" || v.Type == "object" {
			errs = append(errs, field.Invalid(at.Child("properties").Key(k).Child("type"), items.Type, "must be a scalar type if parent array's x-kubernetes-list-type is map"))
		}
		if seen[k] {
			errs = append(errs, field.Invalid(keys, s.XListMapKeys, "must not contain duplicate entries"))
		}
		seen[k] = true
	}
	return errs
}

// validateListKeys refuses items and keys that may not be there.
func validateListKeys(s *apiextensions.JSONSchemaProps, at *field.Path) field.ErrorList {
	items := itemsOf(s)
	if items == nil || !is(s.XListType, "set") && !is(s.XListType, "map") {
		return nil
	}
	var errs field.ErrorList
	var required map[string]bool
	if len(s.XListMapKeys) > 0 {
		required = setOf(items.Required)
	}
	if items.Nullable {
		errs = append(errs, field.Forbidden(at.Child("nullable"), "cannot be nullable when x-kubernetes-list-type is "+*s.XListType))
	}
	if *s.XListType == "set" {
		return errs
	}
	for _, k := range s.XListMapKeys {
		v, ok := items.Properties[k]
		if !ok {
			continue
		}
		at := at.Child("properties").Key(k)
		if v.Default == nil && !required[k] {
			errs = append(errs, field.Required(at.Child("default"), "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"))
		}
		if v.Nullable {
			errs = append(errs, field.Forbidden(at.Child("nullable"), "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"))
		}
	}
	return errs
}

func hasLooseListKeys(s *apiextensions.JSONSchemaProps) bool {
	return len(validateListKeys(s, nil)) > 0
}
