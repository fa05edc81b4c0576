package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// defaultLimitRange derives for containers: default from max, defaultRequest from
// default, then from min.
func defaultLimitRange(o *corev1.LimitRange) {
	for i := range o.Spec.Limits {
		l := &o.Spec.Limits[i]
		for _, list := range []corev1.ResourceList{l.Max, l.Min, l.Default, l.DefaultRequest, l.MaxLimitRequestRatio} {
			meta.RoundUpToMilli(list)
		}
		if l.Type != corev1.LimitTypeContainer {
			continue
		}
		fill(&l.Default, l.Max)
		fill(&l.DefaultRequest, l.Default)
		fill(&l.DefaultRequest, l.Min)
	}
}

func fill(to *corev1.ResourceList, from corev1.ResourceList) {
	if *to == nil {
		*to = corev1.ResourceList{}
	}
	for k, q := range from {
		if _, ok := (*to)[k]; !ok {
			(*to)[k] = q.DeepCopy()
		}
	}
}

func validateLimitRange(o *corev1.LimitRange) field.ErrorList {
	var errs field.ErrorList
	seen := map[corev1.LimitType]bool{}
	for i := range o.Spec.Limits {
		l := &o.Spec.Limits[i]
		idx := specPath.Child("limits").Index(i)
		errs = append(errs, validateLimitType(l.Type, idx.Child("type"))...)
		if seen[l.Type] {
			errs = append(errs, field.Duplicate(idx.Child("type"), l.Type))
		}
		seen[l.Type] = true
		errs = append(errs, validateLimitItem(l, idx)...)
	}
	return errs
}

func validateLimitType(t corev1.LimitType, at *field.Path) field.ErrorList {
	if errs := meta.NameError(at, string(t), meta.QualifiedName); len(errs) > 0 {
		return errs
	}
	if !strings.Contains(string(t), "/") {
		switch t {
		case corev1.LimitTypePod, corev1.LimitTypeContainer, corev1.LimitTypePersistentVolumeClaim:
		default:
			return field.ErrorList{field.Invalid(at, t, "must be a standard limit type or fully qualified")}
		}
	}
	return nil
}

func validateLimitItem(l *corev1.LimitRangeItem, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	keys := map[corev1.ResourceName]bool{}
	lists := []struct {
		name string
		list corev1.ResourceList
	}{{"max", l.Max}, {"min", l.Min}, {"default", l.Default}, {"defaultRequest", l.DefaultRequest}, {"maxLimitRequestRatio", l.MaxLimitRequestRatio}}
	for _, v := range lists {
		if (v.name == "default" || v.name == "defaultRequest") && l.Type == corev1.LimitTypePod {
			if len(v.list) > 0 {
				errs = append(errs, field.Forbidden(at.Child(v.name), "may not be specified when `type` is 'Pod'"))
			}
			continue
		}
		for name := range v.list {
			errs = append(errs, validateLimitResource(l.Type, name, at.Child(v.name).Key(string(name)))...)
			keys[name] = true
		}
	}
	if l.Type == corev1.LimitTypePersistentVolumeClaim {
		_, min := l.Min[corev1.ResourceStorage]
		_, max := l.Max[corev1.ResourceStorage]
		if !min && !max {
			errs = append(errs, field.Required(at.Child("limits"), "either minimum or maximum storage value is required, but neither was provided"))
		}
	}
	for name := range keys {
		errs = append(errs, validateLimitOrder(l, name, at)...)
	}
	return errs
}

func validateLimitResource(t corev1.LimitType, name corev1.ResourceName, at *field.Path) field.ErrorList {
	if t == corev1.LimitTypePod || t == corev1.LimitTypeContainer {
		return validateContainerResourceName(name, at)
	}
	return validateResourceName(name, at)
}

// validateLimitOrder checks min ≤ defaultRequest ≤ default ≤ max, and the ratio.
func validateLimitOrder(l *corev1.LimitRangeItem, name corev1.ResourceName, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	order := func(lowName, lowText string, low corev1.ResourceList, highText string, high corev1.ResourceList, blame string) {
		a, okA := low[name]
		b, okB := high[name]
		if okA && okB && a.Cmp(b) > 0 {
			bad := a
			if blame == "high" {
				bad = b
			}
			errs = append(errs, field.Invalid(at.Child(lowName).Key(string(name)), bad.String(), fmt.Sprintf("%s value %s is greater than %s value %s", lowText, a.String(), highText, b.String())))
		}
	}
	order("min", "min", l.Min, "max", l.Max, "low")
	order("defaultRequest", "min", l.Min, "default request", l.DefaultRequest, "high")
	order("defaultRequest", "default request", l.DefaultRequest, "max", l.Max, "low")
	order("defaultRequest", "default request", l.DefaultRequest, "default limit", l.Default, "low")
	order("default", "min", l.Min, "default", l.Default, "low")
	order("default", "default", l.Default, "max", l.Max, "high")
	if r, ok := l.MaxLimitRequestRatio[name]; ok {
		path := at.Child("maxLimitRequestRatio").Key(string(name))
		if r.Cmp(*resource.NewQuantity(1, resource.DecimalSI)) < 0 {
			errs = append(errs, field.Invalid(path, r.String(), fmt.Sprintf("ratio %s is less than 1", r.String())))
		}
		min, okMin := l.Min[name]
		max, okMax := l.Max[name]
		if okMin && okMax && !min.IsZero() {
			// Thousandths, but of what is too large for them whole units.
			ratio, limit := float64(r.Value()), float64(max.Value())/float64(min.Value())
			if r.Value() < resource.MaxMilliValue && min.Value() < resource.MaxMilliValue && max.Value() < resource.MaxMilliValue {
				ratio, limit = float64(r.MilliValue())/1000, float64(max.MilliValue())/float64(min.MilliValue())
			}
			if ratio > limit {
				errs = append(errs, field.Invalid(path, r.String(), fmt.Sprintf("ratio %s is greater than max/min = %f", r.String(), limit)))
			}
		}
	}
	if !overcommits(name) && name != corev1.ResourceStorage {
		def, okD := l.Default[name]
		ask, okA := l.DefaultRequest[name]
		if okD && okA && def.Cmp(ask) != 0 {
			errs = append(errs, field.Invalid(at.Child("defaultRequest").Key(string(name)), ask.String(), fmt.Sprintf("default value %s must equal to defaultRequest value %s in %s", def.String(), ask.String(), name)))
		}
	}
	return errs
}
