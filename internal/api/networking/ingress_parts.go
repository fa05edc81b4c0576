package networking

import (
	"fmt"
	"net"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

const classAnnotation = "kubernetes.io/ingress.class"

func validateIngress(o *networkingv1.Ingress) field.ErrorList {
	errs := validateIngressSpec(&o.Spec)
	if v, ok := o.Annotations[classAnnotation]; ok && o.Spec.IngressClassName != nil && v != *o.Spec.IngressClassName {
		errs = append(errs, field.Invalid(field.NewPath("annotations").Child(classAnnotation), v, "must match `ingressClassName` when both are specified"))
	}
	return errs
}

func validateIngressSpec(s *networkingv1.IngressSpec) field.ErrorList {
	var errs field.ErrorList
	if len(s.Rules) == 0 && s.DefaultBackend == nil {
		errs = append(errs, field.Invalid(specPath, s.Rules, "either `defaultBackend` or `rules` must be specified"))
	}
	if s.DefaultBackend != nil {
		errs = append(errs, validateBackend(s.DefaultBackend, specPath.Child("defaultBackend"))...)
	}
	for i := range s.Rules {
		errs = append(errs, validateIngressRule(&s.Rules[i], specPath.Child("rules").Index(i))...)
	}
	for i := range s.TLS {
		t := &s.TLS[i]
		idx := specPath.Child("tls").Index(i)
		for j, h := range t.Hosts {
			errs = append(errs, validateHost(h, idx.Child("hosts").Index(j))...)
		}
		if t.SecretName != "" {
			errs = append(errs, meta.NameError(idx.Child("secretName"), t.SecretName, meta.DNSSubdomain)...)
		}
	}
	if s.IngressClassName != nil {
		errs = append(errs, meta.NameError(specPath.Child("ingressClassName"), *s.IngressClassName, meta.DNSSubdomain)...)
	}
	return errs
}

func validateHost(h string, at *field.Path) field.ErrorList {
	if strings.Contains(h, "*") {
		return meta.Invalids(at, h, validation.IsWildcardDNS1123Subdomain(h))
	}
	return meta.NameError(at, h, meta.DNSSubdomain)
}

func validateIngressRule(r *networkingv1.IngressRule, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if r.Host != "" {
		if net.ParseIP(r.Host) != nil {
			errs = append(errs, field.Invalid(at.Child("host"), r.Host, "must be a DNS name, not an IP address"))
		}
		errs = append(errs, validateHost(r.Host, at.Child("host"))...)
	}
	if r.HTTP == nil {
		return errs
	}
	paths := at.Child("http", "paths")
	if len(r.HTTP.Paths) == 0 {
		errs = append(errs, field.Required(paths, ""))
	}
	for i := range r.HTTP.Paths {
		errs = append(errs, validatePath(&r.HTTP.Paths[i], paths.Index(i))...)
	}
	return errs
}

var (
	pathTypes   = []networkingv1.PathType{networkingv1.PathTypeExact, networkingv1.PathTypeImplementationSpecific, networkingv1.PathTypePrefix}
	badSequence = []string{"//", "/./", "/../", "%2f", "%2F"}
	badSuffix   = []string{"/..", "/."}
)

func validatePath(p *networkingv1.HTTPIngressPath, at *field.Path) field.ErrorList {
	if p.PathType == nil {
		return field.ErrorList{field.Required(at.Child("pathType"), "pathType must be specified")}
	}
	var errs field.ErrorList
	path := at.Child("path")
	switch *p.PathType {
	case networkingv1.PathTypeExact, networkingv1.PathTypePrefix:
		if !strings.HasPrefix(p.Path, "/") {
			errs = append(errs, field.Invalid(path, p.Path, "must be an absolute path"))
		}
		if p.Path == "" {
			break
		}
		for _, s := range badSequence {
			if strings.Contains(p.Path, s) {
				errs = append(errs, field.Invalid(path, p.Path, fmt.Sprintf("must not contain '%s'", s)))
			}
		}
		for _, s := range badSuffix {
			if strings.HasSuffix(p.Path, s) {
				errs = append(errs, field.Invalid(path, p.Path, fmt.Sprintf("cannot end with '%s'", s)))
			}
		}
	case networkingv1.PathTypeImplementationSpecific:
		if p.Path != "" && !strings.HasPrefix(p.Path, "/") {
			errs = append(errs, field.Invalid(path, p.Path, "must be an absolute path"))
		}
	default:
		errs = append(errs, field.NotSupported(at.Child("pathType"), *p.PathType, pathTypes))
	}
	return append(errs, validateBackend(&p.Backend, at.Child("backend"))...)
}

func validateBackend(b *networkingv1.IngressBackend, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case b.Resource != nil && b.Service != nil:
		return field.ErrorList{field.Invalid(at, "", "cannot set both resource and service backends")}
	case b.Resource != nil:
		return validateTyped(b.Resource.APIGroup, b.Resource.Kind, b.Resource.Name, at.Child("resource"))
	case b.Service == nil:
		return field.ErrorList{field.Invalid(at, "", "resource or service backend is required")}
	}
	s := b.Service
	path := at.Child("service")
	if s.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	} else {
		errs = append(errs, meta.NameError(path.Child("name"), s.Name, meta.DNSLabel)...)
	}
	named, numbered := s.Port.Name != "", s.Port.Number != 0
	switch {
	case named && numbered:
		errs = append(errs, field.Invalid(at, "", "cannot set both port name & port number"))
	case named:
		errs = append(errs, meta.Invalids(path.Child("port", "name"), s.Port.Name, validation.IsValidPortName(s.Port.Name))...)
	case numbered:
		errs = append(errs, meta.Port(s.Port.Number, path.Child("port", "number"))...)
	default:
		errs = append(errs, field.Required(at, "port name or number is required"))
	}
	return errs
}

// validateTyped checks a reference to an object of any kind.
func validateTyped(group *string, kind, name string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if group != nil {
		errs = append(errs, meta.NameError(at.Child("apiGroup"), *group, meta.DNSSubdomain)...)
	}
	for _, f := range []struct{ name, value string }{{"kind", kind}, {"name", name}} {
		if f.value == "" {
			errs = append(errs, field.Required(at.Child(f.name), ""))
		} else {
			errs = append(errs, meta.Invalids(at.Child(f.name), f.value, api.NameIsPathSegment(f.value, false))...)
		}
	}
	return errs
}

func ingressClass(o *networkingv1.Ingress) string {
	if o.Spec.IngressClassName != nil {
		return *o.Spec.IngressClassName
	}
	return "<none>"
}

func ingressHosts(o *networkingv1.Ingress) string {
	var hosts []string
	for _, r := range o.Spec.Rules {
		if r.Host != "" {
			hosts = append(hosts, r.Host)
		}
	}
	if len(hosts) == 0 {
		return "*"
	}
	if len(hosts) > 3 {
		return strings.Join(hosts[:3], ",") + fmt.Sprintf(" + %d more...", len(hosts)-3)
	}
	return strings.Join(hosts, ",")
}

func ingressAddress(o *networkingv1.Ingress) string {
	var list []string
	for _, in := range o.Status.LoadBalancer.Ingress {
		if in.IP != "" {
			list = append(list, in.IP)
		} else if in.Hostname != "" {
			list = append(list, in.Hostname)
		}
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ",")
}

func ingressPorts(o *networkingv1.Ingress) string {
	if len(o.Spec.TLS) > 0 {
		return "80, 443"
	}
	return "80"
}
