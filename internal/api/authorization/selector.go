package authorization

import (
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// validateSelectors checks the selectors of a question: a text or a list, and what lists may say.
func validateSelectors(r *authorizationv1.ResourceAttributes) field.ErrorList {
	if r == nil {
		return nil
	}
	var errs field.ErrorList
	at := specPath.Child("resourceAttributes")
	if s := r.FieldSelector; s != nil {
		path := at.Child("fieldSelector")
		errs = append(errs, validateForm(s.RawSelector, len(s.Requirements), path)...)
		for i, q := range s.Requirements {
			idx := path.Child("requirements").Index(i)
			if q.Key == "" {
				errs = append(errs, field.Required(idx.Child("key"), "must be specified"))
			}
			errs = append(errs, validateValues(string(q.Operator), len(q.Values), idx)...)
		}
	}
	if s := r.LabelSelector; s != nil {
		path := at.Child("labelSelector")
		errs = append(errs, validateForm(s.RawSelector, len(s.Requirements), path)...)
		for i, q := range s.Requirements {
			idx := path.Child("requirements").Index(i)
			errs = append(errs, validateValues(string(q.Operator), len(q.Values), idx)...)
			errs = append(errs, meta.NameError(idx.Child("key"), q.Key, meta.QualifiedName)...)
			for j, v := range q.Values {
				errs = append(errs, meta.NameError(idx.Child("values").Index(j), v, meta.LabelValue)...)
			}
		}
	}
	return errs
}

func validateForm(raw string, listed int, at *field.Path) field.ErrorList {
	switch {
	case raw != "" && listed > 0:
		return field.ErrorList{field.Invalid(at.Child("rawSelector"), raw, "may not specified at the same time as requirements")}
	case raw == "" && listed == 0:
		return field.ErrorList{field.Required(at.Child("requirements"), fmt.Sprintf("when %s is specified, requirements or rawSelector is required", at))}
	}
	return nil
}

// validateValues checks how many values an operator has. Others than these are for servers that know them.
func validateValues(operator string, n int, at *field.Path) field.ErrorList {
	switch metav1.LabelSelectorOperator(operator) {
	case metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn:
		if n == 0 {
			return field.ErrorList{field.Required(at.Child("values"), "must be specified when `operator` is 'In' or 'NotIn'")}
		}
	case metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist:
		if n > 0 {
			return field.ErrorList{field.Forbidden(at.Child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")}
		}
	}
	return nil
}

// Ignored says which selectors of a question play no part in its answer, or not all of what they list does,
// because nobody understands them.
func Ignored(r *authorizationv1.ResourceAttributes) string {
	if r == nil {
		return ""
	}
	var notes []string
	note := func(name string, understood, listed int) {
		switch {
		case understood == listed:
		case understood == 0:
			notes = append(notes, "spec.resourceAttributes."+name+" ignored due to parse error")
		default:
			notes = append(notes, "spec.resourceAttributes."+name+" partially ignored due to parse error")
		}
	}
	if s := r.FieldSelector; s != nil {
		note("fieldSelector", understoodFields(s), max(len(s.Requirements), 1))
	}
	if s := r.LabelSelector; s != nil {
		note("labelSelector", understoodLabels(s), max(len(s.Requirements), 1))
	}
	return strings.Join(notes, "; ")
}

// understoodFields counts the requirements that selectors of fields can express; a text is one.
func understoodFields(s *authorizationv1.FieldSelectorAttributes) int {
	if s.RawSelector != "" {
		return one(fields.ParseSelector(s.RawSelector))
	}
	n := 0
	for _, q := range s.Requirements {
		if (q.Operator == metav1.FieldSelectorOpIn || q.Operator == metav1.FieldSelectorOpNotIn) && len(q.Values) == 1 {
			n++
		}
	}
	return n
}

func understoodLabels(s *authorizationv1.LabelSelectorAttributes) int {
	if s.RawSelector != "" {
		return one(labels.Parse(s.RawSelector))
	}
	n := 0
	for _, q := range s.Requirements {
		n += one(metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{q}}))
	}
	return n
}

func one[T any](_ T, err error) int {
	if err != nil {
		return 0
	}
	return 1
}
