package meta

import (
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Labels checks keys and values of labels, or of a selector that is a map.
func Labels(m map[string]string, path *field.Path) field.ErrorList {
	for k, v := range m {
		if !qualified(k) || !labelValue(v) {
			return validation.ValidateLabels(m, path)
		}
	}
	return nil
}

// Annotations checks the keys of annotations, and how much there is of them.
func Annotations(m map[string]string, path *field.Path) field.ErrorList {
	n := 0
	for k, v := range m {
		n += len(k) + len(v)
		if n > apivalidation.TotalAnnotationSizeLimitB || !qualified(k) {
			return apivalidation.ValidateAnnotations(m, path)
		}
	}
	return nil
}

// LabelName checks a label key.
func LabelName(s string, path *field.Path) field.ErrorList {
	return NameError(path, s, QualifiedName)
}

// LabelSelector checks a selector; nil is fine.
func LabelSelector(s *metav1.LabelSelector, path *field.Path) field.ErrorList {
	if s == nil {
		return nil
	}
	for k, v := range s.MatchLabels {
		if !qualified(k) || !labelValue(v) {
			return validation.ValidateLabelSelector(s, validation.LabelSelectorValidationOptions{}, path)
		}
	}
	for i := range s.MatchExpressions {
		if !requirement(&s.MatchExpressions[i]) {
			return validation.ValidateLabelSelector(s, validation.LabelSelectorValidationOptions{}, path)
		}
	}
	return nil
}

// requirement tells whether a part of a selector is right.
func requirement(r *metav1.LabelSelectorRequirement) bool {
	switch r.Operator {
	case metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn:
		if len(r.Values) == 0 {
			return false
		}
	case metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist:
		if len(r.Values) > 0 {
			return false
		}
	default:
		return false
	}
	for _, v := range r.Values {
		if !labelValue(v) {
			return false
		}
	}
	return qualified(r.Key)
}

// SelectorMisses tells whether the selector asks for something that the labels
// have not; nil selects nothing. The error says that it is no selector.
func SelectorMisses(s *metav1.LabelSelector, with map[string]string) (misses bool, err error) {
	if s != nil && len(s.MatchExpressions) == 0 && len(s.MatchLabels) > 0 {
		valid := true
		for k, v := range s.MatchLabels {
			if !qualified(k) || !labelValue(v) {
				valid = false
				break
			}
		}
		if valid {
			for k, v := range s.MatchLabels {
				if got, ok := with[k]; !ok || got != v {
					return true, nil
				}
			}
			return false, nil
		}
	}
	sel, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return false, err
	}
	return !sel.Empty() && !sel.Matches(labels.Set(with)), nil
}

// EmptySelector tells whether nothing is asked of the labels.
func EmptySelector(s *metav1.LabelSelector) bool {
	return s == nil || len(s.MatchLabels)+len(s.MatchExpressions) == 0
}
