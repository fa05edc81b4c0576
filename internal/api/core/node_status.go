package core

import (
	"fmt"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// prepareNode drops what is left of kubelets that were configured through the API, as every write does.
func prepareNode(o *corev1.Node) {
	o.Spec.ConfigSource = nil
	o.Status.Config = nil
}

func prepareNodeUpdate(next, old *corev1.Node) {
	if old.Spec.ConfigSource == nil {
		next.Spec.ConfigSource = nil
	}
}

func prepareNodeStatus(next, old *corev1.Node) {
	if old.Status.Config == nil {
		next.Status.Config = nil
	}
	defaultNode(next)
}

func warnNode(next, _ *corev1.Node) []string {
	var w []string
	if next.Spec.ConfigSource != nil {
		w = append(w, "spec.configSource: the feature is removed")
	}
	if next.Spec.DoNotUseExternalID != "" {
		w = append(w, "spec.externalID: this field is deprecated, and is unused by Kubernetes")
	}
	return w
}

// validateNodeStatus checks what a kubelet tells of its node.
func validateNodeStatus(next, _ *corev1.Node) field.ErrorList {
	errs := validateAmounts(next.Status.Capacity, capacityPath)
	errs = append(errs, validateAmounts(next.Status.Allocatable, allocatablePath)...)
	errs = append(errs, meta.Checked(featuresPath, func(at *field.Path) field.ErrorList { return validateFeatures(next.Status.DeclaredFeatures, at) })...)
	return append(errs, validateNodeAddresses(next)...)
}

func validateNodeAddresses(o *corev1.Node) field.ErrorList {
	var errs field.ErrorList
	var addresses seen[corev1.NodeAddress]
	for i, a := range o.Status.Addresses {
		if addresses.add(a) {
			errs = append(errs, field.Duplicate(statusPath.Child("addresses").Index(i), meta.GoNames(a)))
		}
	}
	return errs
}

var featureRE = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*(/[A-Za-z0-9]+)*$`)

// validateFeatures wants the names of features in their order, each once.
func validateFeatures(names []string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, name := range names {
		if len(name) > validation.DNS1123SubdomainMaxLength {
			errs = append(errs, field.Invalid(meta.Index(at, i), name, fmt.Sprintf("invalid feature name %q: must be no more than %d characters", name, validation.DNS1123SubdomainMaxLength)))
		} else if !featureRE.MatchString(name) {
			errs = append(errs, field.Invalid(meta.Index(at, i), name, fmt.Sprintf("invalid feature name %q: must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes", name)))
		}
		switch {
		case i == 0:
		case name == names[i-1]:
			errs = append(errs, field.Duplicate(meta.Index(at, i), name))
		case name < names[i-1]:
			errs = append(errs, field.Invalid(meta.Index(at, i), name, "list must be sorted alphabetically"))
		}
	}
	return errs
}
