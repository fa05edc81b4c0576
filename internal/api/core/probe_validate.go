package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// handler is what probes and hooks can do.
type handler struct {
	exec  *corev1.ExecAction
	http  *corev1.HTTPGetAction
	tcp   *corev1.TCPSocketAction
	grpc  *corev1.GRPCAction
	sleep *corev1.SleepAction
}

func hookHandler(h *corev1.LifecycleHandler) handler {
	return handler{exec: h.Exec, http: h.HTTPGet, tcp: h.TCPSocket, sleep: h.Sleep}
}

// validateProbe checks a probe; only readiness probes may ask for several successes,
// and only the others for a grace period of their own.
func validateProbe(p *corev1.Probe, grace *int64, at *field.Path, child string) field.ErrorList {
	if p == nil {
		return nil
	}
	at = meta.Child(at, child)
	errs := validateHandler(handler{exec: p.Exec, http: p.HTTPGet, tcp: p.TCPSocket, grpc: p.GRPC}, grace, at)
	errs = append(errs, meta.NonNegative(p.InitialDelaySeconds, at, "initialDelaySeconds")...)
	errs = append(errs, meta.NonNegative(p.TimeoutSeconds, at, "timeoutSeconds")...)
	errs = append(errs, meta.NonNegative(p.PeriodSeconds, at, "periodSeconds")...)
	errs = append(errs, meta.NonNegative(p.SuccessThreshold, at, "successThreshold")...)
	errs = append(errs, meta.NonNegative(p.FailureThreshold, at, "failureThreshold")...)
	if g := p.TerminationGracePeriodSeconds; g != nil && *g <= 0 {
		errs = append(errs, field.Invalid(at.Child("terminationGracePeriodSeconds"), *g, "must be greater than 0"))
	}
	if child == "readinessProbe" {
		if g := p.TerminationGracePeriodSeconds; g != nil {
			errs = append(errs, field.Invalid(at.Child("terminationGracePeriodSeconds"), *g, "must not be set for readinessProbes"))
		}
	} else if p.SuccessThreshold != 1 {
		errs = append(errs, field.Invalid(at.Child("successThreshold"), p.SuccessThreshold, "must be 1"))
	}
	return errs
}

func validateHandler(h handler, grace *int64, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	n := 0
	one := func(name string, set bool, check func(at *field.Path) field.ErrorList) {
		if !set {
			return
		}
		if n++; n > 1 {
			errs = append(errs, field.Forbidden(at.Child(name), "may not specify more than 1 handler type"))
			return
		}
		errs = append(errs, check(meta.Child(at, name))...)
	}
	one("exec", h.exec != nil, func(at *field.Path) field.ErrorList {
		if len(h.exec.Command) == 0 {
			return field.ErrorList{field.Required(at.Child("command"), "")}
		}
		return nil
	})
	one("httpGet", h.http != nil, func(at *field.Path) field.ErrorList { return validateHTTPGet(h.http, at) })
	one("tcpSocket", h.tcp != nil, func(at *field.Path) field.ErrorList { return meta.PortNumOrName(h.tcp.Port, meta.Child(at, "port")) })
	one("grpc", h.grpc != nil, func(at *field.Path) field.ErrorList {
		return meta.PortNumOrName(intstr.FromInt32(h.grpc.Port), meta.Child(at, "port"))
	})
	one("sleep", h.sleep != nil, func(at *field.Path) field.ErrorList {
		if grace != nil && (h.sleep.Seconds < 0 || h.sleep.Seconds > *grace) {
			return field.ErrorList{field.Invalid(at, h.sleep.Seconds, fmt.Sprintf("must be non-negative and less than terminationGracePeriodSeconds (%d)", *grace))}
		}
		return nil
	})
	if n == 0 {
		errs = append(errs, field.Required(at, "must specify a handler type"))
	}
	return errs
}

func validateHTTPGet(h *corev1.HTTPGetAction, at *field.Path) field.ErrorList {
	errs := required(at, "path", h.Path)
	errs = append(errs, meta.PortNumOrName(h.Port, meta.Child(at, "port"))...)
	errs = append(errs, oneOf(at, "scheme", h.Scheme, []corev1.URIScheme{corev1.URISchemeHTTP, corev1.URISchemeHTTPS})...)
	for _, header := range h.HTTPHeaders {
		errs = append(errs, meta.NameError(meta.Child(at, "httpHeaders"), header.Name, meta.HeaderName)...)
	}
	return errs
}
