package apiextensions

import (
	"maps"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var schemaTypes = []string{"array", "boolean", "integer", "number", "object", "string"}

func hasUnknownType(s *apiextensions.JSONSchemaProps) bool {
	return s.Type != "" && !slices.Contains(schemaTypes, s.Type)
}

// schemaCheck goes through a schema from its root.
type schemaCheck struct {
	demand
	anyCost bool // rules may cost what they want
}

// place is what matters of the schemas around one.
type place struct {
	root       bool
	noDefaults string      // why there can be no default; empty: there can be one
	inMeta     bool        // inside apiVersion, kind or metadata of a resource
	lost       *field.Path // the first schema of whose values nobody knows which old one a new one belongs to
}

// schema returns what is wrong with a schema and those inside of it, and apart from that what is wrong with
// rules. Rules are compiled where nothing else is wrong with the schema at which they are: what the compiler
// says of a broken schema helps nobody. There is no scope where rules are not looked at.
func (c schemaCheck) schema(s *apiextensions.JSONSchemaProps, at *field.Path, p place, scope *ruleScope) (errs, ofRules field.ErrorList) {
	if s == nil {
		return nil, nil
	}
	errs = c.keywords(s, at, p)
	inside := func(s *apiextensions.JSONSchemaProps, at *field.Path, p place, scope *ruleScope) {
		p.root = false
		e, r := c.schema(s, at, p, scope)
		errs, ofRules = append(errs, e...), append(ofRules, r...)
	}
	if a := s.AdditionalProperties; a != nil {
		if len(s.Properties) > 0 && (!a.Allows || a.Schema != nil) {
			errs = append(errs, field.Forbidden(at.Child("additionalProperties"), "additionalProperties and properties are mutual exclusive"))
		}
		p := p
		if p.inMeta {
			p.noDefaults = "inside additionalProperties applying to object metadata"
		}
		inside(a.Schema, at.Child("additionalProperties"), p, scope.values(a.Schema))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		v := s.Properties[name]
		inside(&v, at.Child("properties").Key(name), p.property(s, name, at), scope.property(&v, name))
	}
	inside(s.Not, at.Child("not"), p, nil)
	for _, l := range []struct {
		name string
		all  []apiextensions.JSONSchemaProps
	}{{"allOf", s.AllOf}, {"oneOf", s.OneOf}, {"anyOf", s.AnyOf}} {
		for i := range l.all {
			inside(&l.all[i], at.Child(l.name).Index(i), p, nil)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Definitions)) {
		v := s.Definitions[name]
		inside(&v, at.Child("definitions").Key(name), p, nil)
	}
	if s.Items != nil {
		p := p
		// Only items with keys are known to be the same after a change.
		if p.lost == nil && (s.XListType == nil || *s.XListType != "map") {
			p.lost = at
		}
		inside(s.Items.Schema, at.Child("items"), p, scope.items(s.Items.Schema))
		for i := range s.Items.JSONSchemas {
			v := &s.Items.JSONSchemas[i]
			inside(v, at.Child("items").Index(i), p, scope.items(v))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Dependencies)) {
		inside(s.Dependencies[name].Schema, at.Child("dependencies").Key(name), p, nil)
	}
	errs = append(errs, c.extensions(s, at)...)
	errs = append(errs, validateRules(s, at.Child("x-kubernetes-validations"))...)
	if len(s.XValidations) > 0 && len(errs) == 0 && scope != nil {
		ofRules = append(ofRules, c.compile(s, at.Child("x-kubernetes-validations"), p, scope)...)
	}
	return errs, ofRules
}

// property is the place of a property of a schema at a place.
func (p place) property(s *apiextensions.JSONSchemaProps, name string, at *field.Path) place {
	if p.lost == nil && !cel.MapIsCorrelatable(s.XMapType) {
		p.lost = at
	}
	if (p.root || s.XEmbeddedResource) && (name == "metadata" || name == "kind" || name == "apiVersion") {
		p.inMeta = true
		if p.root {
			p.noDefaults = "in top-level " + name
		}
	}
	return p
}

// keywords checks the fields of a schema one by one.
func (c schemaCheck) keywords(s *apiextensions.JSONSchemaProps, at *field.Path, p place) field.ErrorList {
	var errs field.ErrorList
	if c.types && hasUnknownType(s) {
		errs = append(errs, field.NotSupported(at.Child("type"), s.Type, schemaTypes))
	}
	forbid := func(is bool, name, why string) {
		if is {
			errs = append(errs, field.Forbidden(at.Child(name), why))
		}
	}
	forbid(s.Default != nil && p.noDefaults != "", "default", "must not be set "+p.noDefaults)
	forbid(s.ID != "", "id", "id is not supported")
	forbid(s.AdditionalItems != nil, "additionalItems", "additionalItems is not supported")
	forbid(len(s.PatternProperties) != 0, "patternProperties", "patternProperties is not supported")
	forbid(len(s.Definitions) != 0, "definitions", "definitions is not supported")
	forbid(s.Dependencies != nil, "dependencies", "dependencies is not supported")
	forbid(s.Ref != nil, "$ref", "$ref is not supported")
	forbid(s.Type == "null", "type", "type cannot be set to null, use nullable as an alternative")
	forbid(s.Items != nil && len(s.Items.JSONSchemas) != 0, "items", "items must be a schema object and not an array")
	forbid(p.inMeta && s.XEmbeddedResource, "x-kubernetes-embedded-resource", "must not be used inside of resource meta")
	forbid(s.UniqueItems, "uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic")
	return errs
}
