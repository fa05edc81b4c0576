package core

import (
	"fmt"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var (
	taintsPath      = field.NewPath("metadata", "taints")
	capacityPath    = statusPath.Child("capacity")
	allocatablePath = statusPath.Child("allocatable")
	podCIDRsPath    = specPath.Child("podCIDRs")
	featuresPath    = statusPath.Child("declaredFeatures")
)

// defaultNode takes all there is as available where the node says nothing else.
func defaultNode(o *corev1.Node) {
	meta.RoundUpToMilli(o.Status.Capacity)
	meta.RoundUpToMilli(o.Status.Allocatable)
	if o.Status.Allocatable == nil && len(o.Status.Capacity) > 0 {
		o.Status.Allocatable = o.Status.Capacity.DeepCopy()
	}
	if c := o.Spec.PodCIDRs; o.Spec.PodCIDR != "" && (len(c) == 0 || c[0] != o.Spec.PodCIDR) {
		o.Spec.PodCIDRs = []string{o.Spec.PodCIDR}
	} else if o.Spec.PodCIDR == "" && len(o.Spec.PodCIDRs) > 0 {
		o.Spec.PodCIDR = o.Spec.PodCIDRs[0]
	}
}

func validateNode(o *corev1.Node) field.ErrorList {
	// compat: the path says metadata.
	errs := meta.Checked(taintsPath, func(at *field.Path) field.ErrorList { return validateTaints(o.Spec.Taints, at) })
	errs = append(errs, validateAmounts(o.Status.Capacity, capacityPath)...)
	errs = append(errs, validateAmounts(o.Status.Allocatable, allocatablePath)...)
	if swap := o.Status.NodeInfo.Swap; swap != nil && swap.Capacity != nil && *swap.Capacity <= 0 {
		// compat: the path is one of the metadata here, too.
		errs = append(errs, field.Invalid(field.NewPath("metadata", "nodeSwapStatus", "capacity"), *swap.Capacity, "must be greater than zero"))
	}
	errs = append(errs, meta.Checked(featuresPath, func(at *field.Path) field.ErrorList { return validateFeatures(o.Status.DeclaredFeatures, at) })...)
	if o.Spec.PodPreemptionPolicy != nil {
		errs = append(errs, field.Forbidden(specPath.Child("podPreemptionPolicy"), "may not be set: pods are not resized at the cost of others"))
	}
	errs = append(errs, meta.Checked(podCIDRsPath, func(at *field.Path) field.ErrorList {
		var errs field.ErrorList
		for i, cidr := range o.Spec.PodCIDRs {
			errs = append(errs, meta.CIDR(meta.Index(at, i), cidr)...)
		}
		return errs
	})...)
	return append(errs, validateFamilies(o.Spec.PodCIDRs)...)
}

// validateFamilies lets two ranges be of one family each.
func validateFamilies(cidrs []string) field.ErrorList {
	if len(cidrs) < 2 {
		return nil
	}
	var errs field.ErrorList
	for i, c := range cidrs {
		if _, _, err := net.ParseCIDR(c); err != nil {
			errs = append(errs, field.InternalError(podCIDRsPath, fmt.Errorf("invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[%d]: <nil> (%v)", i, err)))
			break
		}
	}
	if len(errs) > 0 || len(cidrs) > 2 || strings.Contains(cidrs[0], ":") == strings.Contains(cidrs[1], ":") {
		errs = append(errs, field.Invalid(podCIDRsPath, cidrs, "may specify no more than one CIDR for each IP family"))
	}
	return errs
}

func validateAmounts(list corev1.ResourceList, at *field.Path) field.ErrorList {
	return meta.Checked(at, func(at *field.Path) field.ErrorList {
		var errs field.ErrorList
		for name, q := range list {
			errs = append(errs, validateQuantity(name, q, meta.Child(at, string(name)))...)
		}
		return errs
	})
}

// taintKey is what taints have to differ in.
type taintKey struct {
	key    string
	effect corev1.TaintEffect
}

func validateTaints(ts []corev1.Taint, at *field.Path) field.ErrorList {
	if len(ts) == 0 {
		return nil
	}
	var errs field.ErrorList
	var keys seen[taintKey]
	for i := range ts {
		t := &ts[i]
		idx := meta.Index(at, i)
		errs = append(errs, meta.LabelName(t.Key, meta.Child(idx, "key"))...)
		if msgs := meta.LabelValue(t.Value); len(msgs) > 0 {
			errs = append(errs, field.Invalid(idx.Child("value"), t.Value, strings.Join(msgs, ";")))
		}
		if t.Effect == "" {
			errs = append(errs, field.Required(idx.Child("effect"), ""))
		} else {
			errs = append(errs, oneOf(idx, "effect", t.Effect, taintEffects)...)
		}
		if keys.add(taintKey{t.Key, t.Effect}) {
			e := field.Duplicate(idx, meta.GoNames(t))
			e.Detail = "taints must be unique by key and effect pair"
			errs = append(errs, e)
		}
	}
	return errs
}

func validateNodeUpdate(next, old *corev1.Node) field.ErrorList {
	errs := validateNode(next)
	errs = append(errs, validateNodeAddresses(next)...)
	if len(old.Spec.PodCIDRs) > 0 && !slices.Equal(old.Spec.PodCIDRs, next.Spec.PodCIDRs) {
		errs = append(errs, field.Forbidden(podCIDRsPath, "node updates may not change podCIDR except from \"\" to valid"))
	}
	if old.Spec.ProviderID != "" && next.Spec.ProviderID != old.Spec.ProviderID {
		errs = append(errs, field.Forbidden(specPath.Child("providerID"), "node updates may not change providerID except from \"\" to valid"))
	}
	return errs
}
