package networking

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// validateIngressStatus checks where the load balancer says that it takes traffic in.
func validateIngressStatus(next, old *networkingv1.Ingress) field.ErrorList {
	var errs field.ErrorList
	var kept []string
	for _, in := range old.Status.LoadBalancer.Ingress {
		kept = append(kept, in.IP)
	}
	for i, in := range next.Status.LoadBalancer.Ingress {
		at := field.NewPath("status", "loadBalancer", "ingress").Index(i)
		if in.IP != "" {
			errs = append(errs, validation.IsValidIPForLegacyField(at.Child("ip"), in.IP, true, kept)...)
		}
		if in.Hostname != "" {
			errs = append(errs, meta.NameError(at.Child("hostname"), in.Hostname, validation.IsDNS1123Subdomain)...)
			if netutils.ParseIPSloppy(in.Hostname) != nil {
				errs = append(errs, field.Invalid(at.Child("hostname"), in.Hostname, "must be a DNS name, not an IP address"))
			}
		}
	}
	return errs
}

func warnIngressStatus(next, _ *networkingv1.Ingress) []string {
	var w []string
	for i := range next.Status.LoadBalancer.Ingress {
		if ip := next.Status.LoadBalancer.Ingress[i].IP; ip != "" {
			w = append(w, validation.GetWarningsForIP(field.NewPath("status", "loadBalancer", "ingress").Index(i), ip)...)
		}
	}
	return w
}

// warnIngress tells those who make an Ingress of the annotation that a field took the place of.
func warnIngress(next, old *networkingv1.Ingress) []string {
	if _, ok := next.Annotations[classAnnotation]; ok && old == nil && next.Spec.IngressClassName == nil {
		return []string{fmt.Sprintf("annotation %q is deprecated, please use 'spec.ingressClassName' instead", classAnnotation)}
	}
	return nil
}
