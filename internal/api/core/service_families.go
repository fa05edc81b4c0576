package core

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// clusterFamily is the one family that Services of this cluster have addresses of.
const clusterFamily = corev1.IPv4Protocol

// FitFamilies decides of which families a Service is, by what it says and what the cluster has, or tells why
// that cannot be. It comes before addresses are given out.
func FitFamilies(s *corev1.ServiceSpec) field.ErrorList {
	if s.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	if errs := familyErrors(s); len(errs) > 0 {
		return errs
	}
	s.IPFamilies = slices.Clone(s.IPFamilies)
	for i := len(s.IPFamilies); i < len(s.ClusterIPs) && s.ClusterIPs[i] != corev1.ClusterIPNone; i++ {
		s.IPFamilies = append(s.IPFamilies, familyOf(s.ClusterIPs[i]))
	}
	if unselected(s) {
		fitUnselected(s)
		return nil
	}
	meta.DefaultAt(&s.IPFamilyPolicy, corev1.IPFamilyPolicySingleStack)
	if len(s.IPFamilies) == 0 {
		s.IPFamilies = []corev1.IPFamily{clusterFamily}
	}
	return nil
}

// unselected tells of a Service that has neither addresses nor pods of its own: its endpoints are anywhere.
func unselected(s *corev1.ServiceSpec) bool { return headless(s) && len(s.Selector) == 0 }

// familyErrors says what of the families of a Service cannot be.
func familyErrors(s *corev1.ServiceSpec) field.ErrorList {
	policy := corev1.IPFamilyPolicySingleStack
	if s.IPFamilyPolicy != nil {
		policy = *s.IPFamilyPolicy
	}
	var errs field.ErrorList
	if policy == corev1.IPFamilyPolicySingleStack && (s.IPFamilyPolicy != nil || !unselected(s)) {
		const text = "must be 'RequireDualStack' or 'PreferDualStack' when multiple %s are specified"
		if len(s.IPFamilies) > 1 {
			errs = append(errs, field.Invalid(specPath.Child("ipFamilyPolicy"), policy, fmt.Sprintf(text, "IP families")))
		}
		if len(s.ClusterIPs) > 1 {
			errs = append(errs, field.Invalid(specPath.Child("ipFamilyPolicy"), policy, fmt.Sprintf(text, "cluster IPs")))
		}
	}
	for i := len(s.IPFamilies); i < len(s.ClusterIPs); i++ {
		if f := familyOf(s.ClusterIPs[i]); s.ClusterIPs[i] != corev1.ClusterIPNone && f != clusterFamily {
			errs = append(errs, field.Invalid(specPath.Child("clusterIPs").Index(i), s.ClusterIPs, fmt.Sprintf("%s is not configured on this cluster", f)))
		}
	}
	if len(errs) > 0 || unselected(s) {
		return errs
	}
	for i, f := range s.IPFamilies {
		if f != clusterFamily {
			errs = append(errs, field.Invalid(specPath.Child("ipFamilies").Index(i), f, "not configured on this cluster"))
		}
	}
	if policy == corev1.IPFamilyPolicyRequireDualStack {
		errs = append(errs, field.Invalid(specPath.Child("ipFamilyPolicy"), policy, "this cluster is not configured for dual-stack services"))
	}
	return errs
}

// fitUnselected gives a Service whose endpoints are anywhere both families, unless it wants one.
func fitUnselected(s *corev1.ServiceSpec) {
	meta.DefaultAt(&s.IPFamilyPolicy, corev1.IPFamilyPolicyRequireDualStack)
	if len(s.IPFamilies) == 0 {
		s.IPFamilies = []corev1.IPFamily{clusterFamily}
	}
	if *s.IPFamilyPolicy != corev1.IPFamilyPolicySingleStack && len(s.IPFamilies) == 1 {
		other := corev1.IPv6Protocol
		if s.IPFamilies[0] == other {
			other = corev1.IPv4Protocol
		}
		s.IPFamilies = append(s.IPFamilies, other)
	}
}

func familyOf(ip string) corev1.IPFamily {
	if isIPv6(ip) {
		return corev1.IPv6Protocol
	}
	return corev1.IPv4Protocol
}
