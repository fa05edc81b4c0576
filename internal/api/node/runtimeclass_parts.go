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
		seen := make(map[toleration]bool, len(s.Tolerations))
		for i, t := range s.Tolerations {
			key := toleration{t, t.TolerationSeconds != nil, 0}
			if key.limited {
				key.seconds, key.TolerationSeconds = *t.TolerationSeconds, nil
			}
			if seen[key] {
				errs = append(errs, field.Duplicate(at.Child("tolerations").Index(i), meta.GoNames(t)))
			}
			seen[key] = true
		}
	}
	return errs
}

// toleration has the seconds beside it, so that what is the same is equal.
type toleration struct {
	corev1.Toleration
	limited bool
	seconds int64
}

func validateRuntimeClassUpdate(next, old *nodev1.RuntimeClass) field.ErrorList {
	if next.Handler != old.Handler {
		return field.ErrorList{field.Invalid(field.NewPath("handler"), next.Handler, meta.FieldImmutable)}
	}
	return nil
}
