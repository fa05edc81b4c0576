package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultIngressClass(o *networkingv1.IngressClass) {
	if p := o.Spec.Parameters; p != nil {
		meta.DefaultAt(&p.Scope, networkingv1.IngressClassParametersReferenceScopeCluster)
	}
}

func validateIngressClass(o *networkingv1.IngressClass) field.ErrorList {
	var errs field.ErrorList
	at := specPath.Child("controller")
	if len(o.Spec.Controller) > 250 {
		errs = append(errs, field.TooLong(at, o.Spec.Controller, 250))
	}
	errs = append(errs, validation.IsDomainPrefixedPath(at, o.Spec.Controller)...)
	p := o.Spec.Parameters
	if p == nil {
		return errs
	}
	path := specPath.Child("parameters")
	errs = append(errs, validateTyped(p.APIGroup, p.Kind, p.Name, path)...)
	namespace := ""
	if p.Namespace != nil {
		namespace = *p.Namespace
	}
	scopes := []string{networkingv1.IngressClassParametersReferenceScopeCluster, networkingv1.IngressClassParametersReferenceScopeNamespace}
	switch {
	case p.Scope == nil:
		errs = append(errs, field.Required(path.Child("scope"), ""))
	case *p.Scope == scopes[1]:
		if namespace == "" {
			errs = append(errs, field.Required(path.Child("namespace"), "`parameters.scope` is set to 'Namespace'"))
		} else {
			errs = append(errs, meta.NameError(path.Child("namespace"), namespace, meta.DNSLabel)...)
		}
	case *p.Scope == scopes[0]:
		if p.Namespace != nil {
			errs = append(errs, field.Forbidden(path.Child("namespace"), "`parameters.scope` is set to 'Cluster'"))
		}
	default:
		errs = append(errs, field.NotSupported(path.Child("scope"), *p.Scope, scopes))
	}
	return errs
}

func validateIngressClassUpdate(next, old *networkingv1.IngressClass) field.ErrorList {
	errs := validateIngressClass(next)
	if next.Spec.Controller != old.Spec.Controller {
		errs = append(errs, field.Invalid(specPath.Child("controller"), next.Spec.Controller, meta.FieldImmutable))
	}
	return errs
}

func classText(o *networkingv1.IngressClass) string {
	if o.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
		return o.Name + " (default)"
	}
	return o.Name
}

func parametersText(o *networkingv1.IngressClass) string {
	p := o.Spec.Parameters
	if p == nil {
		return "<none>"
	}
	text := p.Kind
	if p.APIGroup != nil {
		text += "." + *p.APIGroup
	}
	return text + "/" + p.Name
}
