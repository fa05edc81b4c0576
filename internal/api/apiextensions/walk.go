package apiextensions

import "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"

// anySchema tells whether a schema of the definition is as asked; the first one that is ends the walk.
func anySchema(s *apiextensions.CustomResourceDefinitionSpec, is func(*apiextensions.JSONSchemaProps) bool) bool {
	if s.Validation != nil && s.Validation.OpenAPIV3Schema != nil && is(s.Validation.OpenAPIV3Schema) {
		return true
	}
	for _, v := range s.Versions {
		if v.Schema != nil && v.Schema.OpenAPIV3Schema != nil && is(v.Schema.OpenAPIV3Schema) {
			return true
		}
	}
	return false
}

// has tells whether a schema, or one inside of it, is as asked; the first one that is ends the walk, which
// goes in no order.
func has(s *apiextensions.JSONSchemaProps, is func(*apiextensions.JSONSchemaProps) bool) bool {
	if s == nil {
		return false
	}
	if is(s) {
		return true
	}
	list := func(all []apiextensions.JSONSchemaProps) bool {
		for i := range all {
			if has(&all[i], is) {
				return true
			}
		}
		return false
	}
	named := func(all map[string]apiextensions.JSONSchemaProps) bool {
		for _, v := range all {
			if has(&v, is) {
				return true
			}
		}
		return false
	}
	orBool := func(o *apiextensions.JSONSchemaPropsOrBool) bool { return o != nil && has(o.Schema, is) }
	if s.Items != nil && (has(s.Items.Schema, is) || list(s.Items.JSONSchemas)) {
		return true
	}
	if list(s.AllOf) || list(s.AnyOf) || list(s.OneOf) || has(s.Not, is) || named(s.Properties) || orBool(s.AdditionalProperties) ||
		named(s.PatternProperties) || orBool(s.AdditionalItems) || named(s.Definitions) {
		return true
	}
	for _, d := range s.Dependencies {
		if has(d.Schema, is) {
			return true
		}
	}
	return false
}

func hasDefault(s *apiextensions.JSONSchemaProps) bool { return s.Default != nil }

func hasExtension(s *apiextensions.JSONSchemaProps) bool {
	return s.XEmbeddedResource || s.XPreserveUnknownFields != nil || s.XIntOrString || len(s.XListMapKeys) > 0 || s.XListType != nil || len(s.XValidations) > 0
}
