package meta

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Labels checks keys and values of labels, or of a selector that is a map.
func Labels(m map[string]string, path *field.Path) field.ErrorList {
	for k, v := range m {
		if QualifiedName(k) != nil || LabelValue(v) != nil {
			return validation.ValidateLabels(m, path)
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
	if len(s.MatchExpressions) == 0 {
		for k, v := range s.MatchLabels {
			if QualifiedName(k) != nil || LabelValue(v) != nil {
				return validation.ValidateLabelSelector(s, validation.LabelSelectorValidationOptions{}, path)
			}
		}
		return nil
	}
	return validation.ValidateLabelSelector(s, validation.LabelSelectorValidationOptions{}, path)
}

// SelectorMisses tells whether the selector asks for something that the labels
// have not; nil selects nothing. The error says that it is no selector.
func SelectorMisses(s *metav1.LabelSelector, with map[string]string) (misses bool, err error) {
	if s != nil && len(s.MatchExpressions) == 0 && len(s.MatchLabels) > 0 {
		valid := true
		for k, v := range s.MatchLabels {
			if QualifiedName(k) != nil || LabelValue(v) != nil {
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
