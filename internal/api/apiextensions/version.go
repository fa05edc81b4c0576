package apiextensions

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	maxSelectableFields   = 8
	maxDeprecationWarning = 256
)

// version checks what a version has of its own.
func (d demand) version(v *apiextensions.CustomResourceDefinitionVersion, at *field.Path, s *apiextensions.CustomResourceDefinitionSpec) field.ErrorList {
	errs := validateDeprecation(v, at.Child("deprecationWarning"))
	status := s.Subresources != nil && s.Subresources.Status != nil || v.Subresources != nil && v.Subresources.Status != nil
	errs = append(errs, d.root(v.Schema, status, d.sameSchema[v.Name], at.Child("schema"))...)
	errs = append(errs, validateSubresources(v.Subresources, at.Child("subresources"))...)
	errs = append(errs, validateColumns(v.AdditionalPrinterColumns, at.Child("additionalPrinterColumns"))...)
	if len(v.SelectableFields) == 0 {
		return errs
	}
	if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
		// compat: the text says the contrary of what it means.
		return append(errs, field.Invalid(at.Child("selectableFields"), "", "may only be set when `version.schema.openAPIV3Schema` is not included"))
	}
	return append(errs, d.selectableFields(v.SelectableFields, v.Schema.OpenAPIV3Schema, at, v.Name)...)
}

// commonFields checks the selectable fields that all versions have in common.
func (d demand) commonFields(s *apiextensions.CustomResourceDefinitionSpec) field.ErrorList {
	if len(s.SelectableFields) == 0 {
		return nil
	}
	if s.Validation == nil || s.Validation.OpenAPIV3Schema == nil {
		return field.ErrorList{field.Invalid(specPath.Child("selectableFields"), "", "may only be set when validations.schema is included")}
	}
	return d.selectableFields(s.SelectableFields, s.Validation.OpenAPIV3Schema, specPath, "")
}

func (d demand) selectableFields(fields []apiextensions.SelectableField, props *apiextensions.JSONSchemaProps, parent *field.Path, version string) field.ErrorList {
	root, err := schema.NewStructural(props)
	if err != nil {
		return field.ErrorList{field.Invalid(parent.Child("schema.openAPIV3Schema"), "", err.Error())}
	}
	var errs field.ErrorList
	at, seen := parent.Child("selectableFields"), map[string]bool{}
	for i, f := range fields {
		at := at.Index(i).Child("jsonPath")
		if f.JSONPath == "" {
			errs = append(errs, field.Required(at, ""))
			continue
		}
		path, found, err := fieldAt(f.JSONPath, root, cel.WithFieldPathAllowArrayNotation(false))
		if err != nil {
			errs = append(errs, field.Invalid(at, f.JSONPath, fmt.Sprintf("is an invalid path: %v", err)))
			continue
		}
		if path.Root().String() == "metadata" {
			errs = append(errs, field.Invalid(at, f.JSONPath, "must not point to fields in metadata"))
		}
		if found == nil || !slices.Contains([]string{"string", "boolean", "integer"}, found.Type) {
			errs = append(errs, field.Invalid(at, f.JSONPath, "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."))
		}
		if seen[path.String()] {
			errs = append(errs, field.Duplicate(at, f.JSONPath))
		}
		seen[path.String()] = true
	}
	if len(seen) > maxSelectableFields && !d.manyFields[version] {
		errs = append(errs, field.TooMany(at, len(seen), maxSelectableFields))
	}
	return errs
}

// fieldAt finds the schema of a field. The library's search runs into nil where a path goes on below
// additionalProperties that are true; there is no field then.
func fieldAt(path string, root *schema.Structural, options ...cel.ValidFieldPathOption) (at *field.Path, found *schema.Structural, err error) {
	defer func() {
		if recover() != nil {
			at, found, err = nil, nil, fmt.Errorf("does not refer to a valid field")
		}
	}()
	return cel.ValidFieldPath(path, root, options...)
}

func validateDeprecation(v *apiextensions.CustomResourceDefinitionVersion, at *field.Path) field.ErrorList {
	if v.DeprecationWarning == nil {
		return nil
	}
	text := *v.DeprecationWarning
	var errs field.ErrorList
	invalid := func(format string, args ...any) {
		errs = append(errs, field.Invalid(at, v.DeprecationWarning, fmt.Sprintf(format, args...)))
	}
	if !v.Deprecated {
		invalid("can only be set for deprecated versions")
		return errs
	}
	if len(text) > maxDeprecationWarning {
		invalid("must be <= %d characters long", maxDeprecationWarning)
	}
	if text == "" {
		invalid("must not be an empty string")
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		invalid("must only contain printable UTF-8 characters; non-printable character found at index %d", i)
	}
	if !utf8.ValidString(text) {
		invalid("must only contain printable UTF-8 characters")
	}
	return errs
}

var (
	columnTypes   = []string{"boolean", "date", "integer", "number", "string"}
	columnFormats = []string{"byte", "date", "date-time", "double", "float", "int32", "int64", "password"}
)

func validateColumns(columns []apiextensions.CustomResourceColumnDefinition, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, c := range columns {
		at := at.Index(i)
		if c.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
		}
		types := "must be one of " + strings.Join(columnTypes, ",")
		if c.Type == "" {
			errs = append(errs, field.Required(at.Child("type"), types))
		} else if !slices.Contains(columnTypes, c.Type) {
			errs = append(errs, field.Invalid(at.Child("type"), c.Type, types))
		}
		if c.Format != "" && !slices.Contains(columnFormats, c.Format) {
			errs = append(errs, field.Invalid(at.Child("format"), c.Format, "must be one of "+strings.Join(columnFormats, ",")))
		}
		// compat: the field is jsonPath.
		if c.JSONPath == "" {
			errs = append(errs, field.Required(at.Child("JSONPath"), ""))
		} else {
			errs = append(errs, simplePath(c.JSONPath, at.Child("JSONPath"))...)
		}
	}
	return errs
}

func simplePath(path string, at *field.Path) field.ErrorList {
	if !strings.HasPrefix(path, ".") {
		return field.ErrorList{field.Invalid(at, path, "must be a simple json path starting with .")}
	}
	return nil
}

func validateSubresources(s *apiextensions.CustomResourceSubresources, at *field.Path) field.ErrorList {
	if s == nil || s.Scale == nil {
		return nil
	}
	var errs field.ErrorList
	path := func(name, path, detail string, below ...string) {
		at := at.Child("scale." + name)
		if e := simplePath(path, at); e != nil {
			errs = append(errs, e...)
		} else if !slices.ContainsFunc(below, func(b string) bool { return strings.HasPrefix(path, b) }) {
			errs = append(errs, field.Invalid(at, path, detail))
		}
	}
	required := func(name, value, detail, below string) {
		if value == "" {
			errs = append(errs, field.Required(at.Child("scale."+name), ""))
			return
		}
		path(name, value, detail, below)
	}
	required("specReplicasPath", s.Scale.SpecReplicasPath, "should be a json path under .spec", ".spec.")
	required("statusReplicasPath", s.Scale.StatusReplicasPath, "should be a json path under .status", ".status.")
	if p := s.Scale.LabelSelectorPath; p != nil && *p != "" {
		path("labelSelectorPath", *p, "should be a json path under either .spec or .status", ".spec.", ".status.")
	}
	return errs
}
