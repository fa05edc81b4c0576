package apiextensions

import (
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// requiredNames asks for the names that a spec needs; a status may be without.
func requiredNames(n *apiextensions.CustomResourceDefinitionNames) field.ErrorList {
	var errs field.ErrorList
	for _, r := range []struct{ at, name string }{{"plural", n.Plural}, {"singular", n.Singular}, {"kind", n.Kind}, {"listKind", n.ListKind}} {
		if r.name == "" {
			errs = append(errs, field.Required(specPath.Child("names", r.at), ""))
		}
	}
	return errs
}

func validateNames(n *apiextensions.CustomResourceDefinitionNames, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	label := func(at *field.Path, name, checked, prefix string) {
		if m := validation.IsDNS1035Label(checked); m != nil {
			errs = append(errs, field.Invalid(at, name, prefix+strings.Join(m, ",")))
		}
	}
	if n.Plural != "" {
		label(at.Child("plural"), n.Plural, n.Plural, "")
	}
	if n.Singular != "" {
		label(at.Child("singular"), n.Singular, n.Singular, "")
	}
	const mixed = "may have mixed case, but should otherwise match: "
	if n.Kind != "" {
		label(at.Child("kind"), n.Kind, strings.ToLower(n.Kind), mixed)
	}
	if n.ListKind != "" {
		label(at.Child("listKind"), n.ListKind, strings.ToLower(n.ListKind), mixed)
	}
	for i, s := range n.ShortNames {
		label(at.Child("shortNames").Index(i), s, s, "")
	}
	if n.Kind != "" && n.Kind == n.ListKind {
		errs = append(errs, field.Invalid(at.Child("listKind"), n.ListKind, "kind and listKind may not be the same"))
	}
	for i, c := range n.Categories {
		label(at.Child("categories").Index(i), c, c, "")
	}
	return errs
}
