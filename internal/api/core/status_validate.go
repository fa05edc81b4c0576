package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var statusPath = field.NewPath("status")

// validateNamespaceStatus keeps the phase in step with the deletion.
func validateNamespaceStatus(next, _ *corev1.Namespace) field.ErrorList {
	// compat: the field is spelled with a capital.
	at := statusPath.Child("Phase")
	switch gone := !next.DeletionTimestamp.IsZero(); {
	case !gone && next.Status.Phase != corev1.NamespaceActive:
		return field.ErrorList{field.Invalid(at, next.Status.Phase, "may only be 'Active' if `deletionTimestamp` is empty")}
	case gone && next.Status.Phase != corev1.NamespaceTerminating:
		return field.ErrorList{field.Invalid(at, next.Status.Phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")}
	}
	return nil
}

func validateReplicationControllerStatus(next, _ *corev1.ReplicationController) field.ErrorList {
	s, at := &next.Status, statusPath
	errs := meta.NonNegative(s.Replicas, at, "replicas")
	errs = append(errs, meta.NonNegative(s.FullyLabeledReplicas, at, "fullyLabeledReplicas")...)
	errs = append(errs, meta.NonNegative(s.ReadyReplicas, at, "readyReplicas")...)
	errs = append(errs, meta.NonNegative(s.AvailableReplicas, at, "availableReplicas")...)
	errs = append(errs, meta.NonNegative(s.ObservedGeneration, at, "observedGeneration")...)
	over := func(name string, n, most int32, text string) {
		if n > most {
			errs = append(errs, field.Invalid(at.Child(name), n, text))
		}
	}
	over("fullyLabeledReplicas", s.FullyLabeledReplicas, s.Replicas, "cannot be greater than status.replicas")
	over("readyReplicas", s.ReadyReplicas, s.Replicas, "cannot be greater than status.replicas")
	over("availableReplicas", s.AvailableReplicas, s.Replicas, "cannot be greater than status.replicas")
	over("availableReplicas", s.AvailableReplicas, s.ReadyReplicas, "cannot be greater than readyReplicas")
	return errs
}

// prepareServiceStatus fills in how a load balancer's address is reached.
func prepareServiceStatus(next, _ *corev1.Service) {
	if next.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return
	}
	for i := range next.Status.LoadBalancer.Ingress {
		if in := &next.Status.LoadBalancer.Ingress[i]; in.IP != "" {
			meta.DefaultAt(&in.IPMode, corev1.LoadBalancerIPModeVIP)
		}
	}
}

func validateServiceStatus(next, old *corev1.Service) field.ErrorList {
	var errs field.ErrorList
	at := statusPath.Child("loadBalancer", "ingress")
	list := next.Status.LoadBalancer.Ingress
	if next.Spec.Type != corev1.ServiceTypeLoadBalancer && len(list) > 0 {
		return field.ErrorList{field.Forbidden(at, "may only be used when `spec.type` is LoadBalancer")}
	}
	var kept []string
	for _, in := range old.Status.LoadBalancer.Ingress {
		kept = append(kept, in.IP)
	}
	modes := []corev1.LoadBalancerIPMode{corev1.LoadBalancerIPModeProxy, corev1.LoadBalancerIPModeVIP}
	for i, in := range list {
		path := at.Index(i)
		errs = append(errs, ingressPoint(in.IP, in.Hostname, kept, path)...)
		switch {
		case in.IPMode == nil && in.IP != "":
			errs = append(errs, field.Required(path.Child("ipMode"), "must be specified when `ip` is set"))
		case in.IPMode != nil && in.IP == "":
			errs = append(errs, field.Forbidden(path.Child("ipMode"), "may not be specified when `ip` is not set"))
		case in.IPMode != nil:
			errs = append(errs, supported(path.Child("ipMode"), *in.IPMode, modes)...)
		}
	}
	return errs
}

func warnServiceStatus(next, _ *corev1.Service) []string {
	var w []string
	for i := range next.Status.LoadBalancer.Ingress {
		if ip := next.Status.LoadBalancer.Ingress[i].IP; ip != "" {
			w = append(w, validation.GetWarningsForIP(statusPath.Child("loadBalancer", "ingress").Index(i), ip)...)
		}
	}
	return w
}

// ingressPoint checks where a load balancer takes traffic in.
func ingressPoint(ip, hostname string, kept []string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if ip != "" {
		errs = append(errs, validation.IsValidIPForLegacyField(at.Child("ip"), ip, true, kept)...)
	}
	if hostname != "" {
		errs = append(errs, meta.NameError(at.Child("hostname"), hostname, validation.IsDNS1123Subdomain)...)
		if netutils.ParseIPSloppy(hostname) != nil {
			errs = append(errs, field.Invalid(at.Child("hostname"), hostname, "must be a DNS name, not an IP address"))
		}
	}
	return errs
}
