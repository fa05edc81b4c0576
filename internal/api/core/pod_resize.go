package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// validateResize lets CPU and memory of containers change, but not the class of service.
// What has once been asked for or limited is not taken back.
func validateResize(n, o api.Object) field.ErrorList {
	next, old := n.(*corev1.Pod), o.(*corev1.Pod)
	if _, mirror := old.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "static pods cannot be resized")}
	}
	if old.Spec.OS != nil && old.Spec.OS.Name == corev1.Windows {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "windows pods cannot be resized")}
	}
	errs := validatePodAlways(next)
	before, after := old.Status.QOSClass, qosClass(&next.Spec)
	if before == "" {
		before = qosClass(&old.Spec)
	}
	if before != after {
		errs = append(errs, field.Invalid(specPath, after, "Pod QOS Class may not change as a result of resizing"))
	}
	same := sameContainers(next.Spec.Containers, old.Spec.Containers, "containers")
	if same = append(same, sameContainers(next.Spec.InitContainers, old.Spec.InitContainers, "initContainers")...); len(same) > 0 {
		return append(errs, same...)
	}
	rest := next.Spec.DeepCopy()
	for i := range rest.Containers {
		errs = append(errs, carryResize(&rest.Containers[i], &old.Spec.Containers[i], specPath.Child("containers").Index(i).Child("resources"))...)
	}
	for i := range rest.InitContainers {
		c, was, at := &rest.InitContainers[i], &old.Spec.InitContainers[i], specPath.Child("initContainers").Index(i).Child("resources")
		if r := was.RestartPolicy; r != nil && *r == corev1.ContainerRestartPolicyAlways {
			errs = append(errs, carryResize(c, was, at)...)
		} else if !meta.Equal(&c.Resources, &was.Resources) {
			errs = append(errs, field.Forbidden(at, "resources for non-sidecar init containers are immutable"))
			c.Resources = was.Resources
		}
	}
	if !meta.Equal(rest, &old.Spec) {
		errs = append(errs, field.Forbidden(specPath, "only cpu and memory resources are mutable\n"+strings.TrimSuffix(meta.Diff(old.Spec, rest), "\n")))
	}
	return errs
}

// sameContainers refuses that containers come, go, or change their places.
func sameContainers(next, old []corev1.Container, list string) field.ErrorList {
	if len(next) != len(old) {
		return field.ErrorList{field.Forbidden(specPath.Child(list), list+" may not be added or removed on resize")}
	}
	var errs field.ErrorList
	for i := range next {
		if next[i].Name != old[i].Name {
			errs = append(errs, field.Forbidden(specPath.Child(list).Index(i).Child("name"), list+" may not be renamed or reordered on resize"))
		}
	}
	return errs
}

// carryResize undoes in rest what may change, and refuses what is taken back.
func carryResize(rest, old *corev1.Container, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	carry := func(to *corev1.ResourceList, from corev1.ResourceList, child, text string) {
		for name := range from {
			if _, ok := (*to)[name]; !ok {
				errs = append(errs, field.Forbidden(at.Child(child), text))
				break
			}
		}
		for _, name := range resizable {
			q, ok := from[name]
			if !ok {
				delete(*to, name)
				continue
			}
			if *to == nil {
				*to = corev1.ResourceList{}
			}
			(*to)[name] = q
		}
	}
	carry(&rest.Resources.Requests, old.Resources.Requests, "requests", "resource requests cannot be removed")
	carry(&rest.Resources.Limits, old.Resources.Limits, "limits", "resource limits cannot be removed")
	rest.ResizePolicy = old.ResizePolicy
	return errs
}
