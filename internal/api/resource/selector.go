package resource

import (
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/cel"
)

// validateSelectors compiles what devices must satisfy. Selectors that were there
// before are not compiled again: what the object does not change stays as it is.
func validateSelectors(selectors []resourcev1.DeviceSelector, same bool, at *field.Path) field.ErrorList {
	at = at.Child("selectors")
	if errs := atMost(len(selectors), resourcev1.DeviceSelectorsMaxSize, at); len(errs) > 0 {
		return errs // to compile them all takes long
	}
	var errs field.ErrorList
	for i := range selectors {
		idx := at.Index(i).Child("cel")
		if c := selectors[i].CEL; c == nil {
			errs = append(errs, field.Required(idx, ""))
		} else if !same {
			errs = append(errs, validateSelector(c.Expression, idx.Child("expression"))...)
		}
	}
	return errs
}

func validateSelector(text string, at *field.Path) field.ErrorList {
	if len(text) > resourcev1.CELSelectorExpressionMaxLength {
		return field.ErrorList{field.TooLong(at, "", resourcev1.CELSelectorExpressionMaxLength)}
	}
	cost, err := cel.Device(text, false)
	if err == nil && cost > resourcev1.CELSelectorExpressionMaxCost {
		return field.ErrorList{field.Forbidden(at, "too complex, exceeds cost limit")}
	}
	return cel.Errors(at, text, err)
}
