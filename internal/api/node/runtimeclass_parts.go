package node

import (
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func validateRuntimeClass(o *nodev1.RuntimeClass) field.ErrorList {
	errs := meta.NameError(field.NewPath("handler"), o.Handler, meta.DNSLabel)
	if o.Overhead != nil {
		errs = append(errs, core.ValidateOverhead(o.Overhead.PodFixed, field.NewPath("overhead"))...)
	}
	if s := o.Scheduling; s != nil {
		at := field.NewPath("scheduling")
		errs = append(errs, meta.Labels(s.NodeSelector, at.Child("nodeSelector"))...)
		errs = append(errs, core.ValidateTolerations(s.Tolerations, at.Child("tolerations"))...)
		for i := range s.Tolerations {
			for j := range i {
				if sameToleration(s.Tolerations[i], s.Tolerations[j]) {
					errs = append(errs, field.Duplicate(at.Child("tolerations").Index(i), meta.GoNames(s.Tolerations[i])))
					break
				}
			}
		}
	}
	return errs
}

func sameToleration(a, b corev1.Toleration) bool {
	x, y := a.TolerationSeconds, b.TolerationSeconds
	a.TolerationSeconds, b.TolerationSeconds = nil, nil
	return a == b && (x == y || x != nil && y != nil && *x == *y)
}

func validateRuntimeClassUpdate(next, old *nodev1.RuntimeClass) field.ErrorList {
	if next.Handler != old.Handler {
		return field.ErrorList{field.Invalid(field.NewPath("handler"), next.Handler, meta.FieldImmutable)}
	}
	return nil
}
