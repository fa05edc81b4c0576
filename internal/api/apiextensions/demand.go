package apiextensions

import (
	"reflect"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apimachinery/pkg/api/equality"
)

// demand says which rules are enforced. All are for new definitions. Those that came after the first
// definitions were stored are not for definitions that break them already: else nobody could change the rest
// of such a definition, or remove its finalizer.
type demand struct {
	reviewVersion  bool            // conversion webhooks understand a known version of the review
	fixedNames     bool            // scope and kind stay: the definition is established
	schemas        bool            // every version has a schema
	types          bool            // types are those of OpenAPI v3
	structural     bool            // schemas are structural
	prunedDefaults bool            // defaults have no fields that the schema does not know
	atomicSets     bool            // items of sets are atomic
	listKeys       bool            // keys of lists that are maps are required or have a default
	readableBundle bool            // the CA bundle of the webhook can be read
	manyFields     map[string]bool // versions with more selectable fields than there may be; "" is all of them
	sameSchema     map[string]bool // versions whose rules may cost more than one may
	storedRules    map[string]bool // expressions that are stored may use what new ones may not yet
	storedMessages map[string]bool
}

func newDemand() demand {
	return demand{reviewVersion: true, schemas: true, types: true, structural: true, prunedDefaults: true, atomicSets: true, listKeys: true}
}

func demandOf(crd, old *apiextensions.CustomResourceDefinition) demand {
	s := &old.Spec
	established := apiextensions.IsCRDConditionTrue(old, apiextensions.Established)
	d := demand{
		reviewVersion:  s.Conversion == nil || len(s.Conversion.ConversionReviewVersions) == 0 || hasKnownReview(s.Conversion.ConversionReviewVersions),
		fixedNames:     established,
		schemas:        len(versionsWithoutSchema(s)) == 0,
		types:          !anySchema(s, func(r *apiextensions.JSONSchemaProps) bool { return has(r, hasUnknownType) }),
		structural:     !anySchema(s, notStructural),
		prunedDefaults: !anySchema(s, hasUnprunedDefaults),
		atomicSets:     !anySchema(s, func(r *apiextensions.JSONSchemaProps) bool { return has(r, hasGranularSet) }),
		listKeys:       !anySchema(s, func(r *apiextensions.JSONSchemaProps) bool { return has(r, hasLooseListKeys) }),
		readableBundle: established && !hasUnreadableBundle(s.Conversion),
		manyFields:     map[string]bool{}, sameSchema: map[string]bool{},
		storedRules: map[string]bool{}, storedMessages: map[string]bool{},
	}
	anySchema(s, func(r *apiextensions.JSONSchemaProps) bool {
		return has(r, func(r *apiextensions.JSONSchemaProps) bool {
			for _, v := range r.XValidations {
				d.storedRules[v.Rule], d.storedMessages[v.MessageExpression] = true, true
			}
			return false
		})
	})
	d.manyFields[""] = keepsFields(crd.Spec.SelectableFields, s.SelectableFields)
	for _, v := range crd.Spec.Versions {
		for _, was := range s.Versions {
			if was.Name != v.Name {
				continue
			}
			d.manyFields[v.Name] = keepsFields(v.SelectableFields, was.SelectableFields)
			d.sameSchema[v.Name] = equality.Semantic.DeepEqual(schemaOf(&crd.Spec, v), schemaOf(s, was))
		}
	}
	return d
}

func keepsFields(next, old []apiextensions.SelectableField) bool {
	return len(old) > maxSelectableFields && equality.Semantic.DeepEqual(next, old)
}

// schemaOf is the schema of a version, wherever it is.
func schemaOf(s *apiextensions.CustomResourceDefinitionSpec, v apiextensions.CustomResourceDefinitionVersion) *apiextensions.CustomResourceValidation {
	if s.Validation != nil {
		return s.Validation
	}
	return v.Schema
}

// versionsWithoutSchema are the positions of the versions of which nothing is known.
func versionsWithoutSchema(s *apiextensions.CustomResourceDefinitionSpec) []int {
	var out []int
	for i, v := range s.Versions {
		if at := schemaOf(s, v); at == nil || at.OpenAPIV3Schema == nil {
			out = append(out, i)
		}
	}
	return out
}

func notStructural(r *apiextensions.JSONSchemaProps) bool {
	s, err := schema.NewStructural(r)
	return err != nil || len(schema.ValidateStructural(nil, s)) > 0
}

func hasUnprunedDefaults(r *apiextensions.JSONSchemaProps) bool {
	if !has(r, hasDefault) {
		return false
	}
	s, err := schema.NewStructural(r)
	if err != nil || len(schema.ValidateStructural(nil, s)) > 0 {
		return false
	}
	pruned := s.DeepCopy()
	if defaulting.PruneDefaults(pruned) != nil {
		return false
	}
	return !reflect.DeepEqual(s, pruned)
}
