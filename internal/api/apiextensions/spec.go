package apiextensions

import (
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// spec checks a spec in the form that inMemory makes. What versions have in common and what each has of its
// own cannot both be there in that form, so nothing asks whether they are.
func (d demand) spec(s *apiextensions.CustomResourceDefinitionSpec) field.ErrorList {
	errs := validateGroup(s.Group)
	errs = append(errs, oneOf(specPath.Child("scope"), string(s.Scope), string(apiextensions.ClusterScoped), string(apiextensions.NamespaceScoped))...)
	errs = append(errs, d.schemasThere(s)...)

	defaults := anySchema(s, func(r *apiextensions.JSONSchemaProps) bool { return has(r, hasDefault) })
	if defaults && preserves(s) {
		errs = append(errs, field.Invalid(specPath.Child("preserveUnknownFields"), true, "must be false in order to use defaults in the schema"))
	}
	d.structural = d.structural || !preserves(s) || defaults || anySchema(s, func(r *apiextensions.JSONSchemaProps) bool { return has(r, hasExtension) })

	errs = append(errs, d.versions(s)...)
	errs = append(errs, requiredNames(&s.Names)...)
	errs = append(errs, validateNames(&s.Names, specPath.Child("names"))...)
	errs = append(errs, d.root(s.Validation, hasStatus(s), d.sameSchema[s.Version], specPath.Child("validation"))...)
	errs = append(errs, validateSubresources(s.Subresources, specPath.Child("subresources"))...)
	errs = append(errs, validateColumns(s.AdditionalPrinterColumns, specPath.Child("additionalPrinterColumns"))...)
	errs = append(errs, d.commonFields(s)...)
	if s.Conversion != nil && s.Conversion.Strategy != apiextensions.NoneConverter && preserves(s) {
		errs = append(errs, field.Invalid(specPath.Child("conversion", "strategy"), s.Conversion.Strategy, "must be None if spec.preserveUnknownFields is true"))
	}
	return append(errs, d.conversion(s.Conversion)...)
}

func validateGroup(group string) field.ErrorList {
	at := specPath.Child("group")
	if group == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	if m := meta.DNSSubdomain(group); m != nil {
		return field.ErrorList{field.Invalid(at, group, strings.Join(m, ","))}
	}
	if !strings.Contains(group, ".") {
		return field.ErrorList{field.Invalid(at, group, "should be a domain with at least one dot")}
	}
	return nil
}

func oneOf(at *field.Path, value string, known ...string) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	if !slices.Contains(known, value) {
		return field.ErrorList{field.NotSupported(at, value, known)}
	}
	return nil
}

// schemasThere asks for the schemas without which objects would be empty.
func (d demand) schemasThere(s *apiextensions.CustomResourceDefinitionSpec) field.ErrorList {
	var errs field.ErrorList
	for _, i := range versionsWithoutSchema(s) {
		at := specPath.Child("versions").Index(i).Child("schema", "openAPIV3Schema")
		switch {
		case d.schemas:
			errs = append(errs, field.Required(at, ""))
		case !preserves(s) && s.Versions[i].Served:
			errs = append(errs, field.Required(at, "because otherwise all fields are pruned"))
		}
	}
	return errs
}

func (d demand) versions(s *apiextensions.CustomResourceDefinitionSpec) field.ErrorList {
	var errs field.ErrorList
	at := specPath.Child("versions")
	stored, unique, seen := 0, true, map[string]bool{}
	for i := range s.Versions {
		v := &s.Versions[i]
		if v.Storage {
			stored++
		}
		unique = unique && !seen[v.Name]
		seen[v.Name] = true
		if m := validation.IsDNS1035Label(v.Name); m != nil {
			errs = append(errs, field.Invalid(at.Index(i).Child("name"), v.Name, strings.Join(m, ",")))
		}
		errs = append(errs, d.version(v, at.Index(i), s)...)
	}
	if !unique {
		errs = append(errs, field.Invalid(at, s.Versions, "must contain unique version names"))
	}
	if stored != 1 {
		errs = append(errs, field.Invalid(at, s.Versions, "must have exactly one version marked as storage version"))
	}
	// compat: the name of the first version is a field of its own as well.
	if m := validation.IsDNS1035Label(s.Version); s.Version != "" && m != nil {
		errs = append(errs, field.Invalid(specPath.Child("version"), s.Version, strings.Join(m, ",")))
	}
	return errs
}

// hasStatus tells whether objects have a status of their own in some version.
func hasStatus(s *apiextensions.CustomResourceDefinitionSpec) bool {
	return s.Subresources != nil && s.Subresources.Status != nil ||
		slices.ContainsFunc(s.Versions, func(v apiextensions.CustomResourceDefinitionVersion) bool {
			return v.Subresources != nil && v.Subresources.Status != nil
		})
}
