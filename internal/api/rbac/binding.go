package rbac

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultBinding(ref *rbacv1.RoleRef, subjects []rbacv1.Subject) {
	meta.Default(&ref.APIGroup, rbacv1.GroupName)
	for i := range subjects {
		if s := &subjects[i]; s.Kind == rbacv1.UserKind || s.Kind == rbacv1.GroupKind {
			meta.Default(&s.APIGroup, rbacv1.GroupName)
		}
	}
}

func validateBinding(ref *rbacv1.RoleRef, subjects []rbacv1.Subject, namespaced bool) field.ErrorList {
	at := field.NewPath("roleRef")
	var errs field.ErrorList
	if ref.APIGroup != rbacv1.GroupName {
		errs = append(errs, field.NotSupported(at.Child("apiGroup"), ref.APIGroup, []string{rbacv1.GroupName}))
	}
	kinds := []string{"ClusterRole"}
	if namespaced {
		kinds = []string{"Role", "ClusterRole"}
	}
	if !slices.Contains(kinds, ref.Kind) {
		errs = append(errs, field.NotSupported(at.Child("kind"), ref.Kind, kinds))
	}
	if ref.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	} else {
		errs = append(errs, meta.Invalids(at.Child("name"), ref.Name, api.NameIsPathSegment(ref.Name, false))...)
	}
	for i := range subjects {
		errs = append(errs, validateSubject(&subjects[i], namespaced, field.NewPath("subjects").Index(i))...)
	}
	return errs
}

func validateSubject(s *rbacv1.Subject, namespaced bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	}
	switch s.Kind {
	case rbacv1.ServiceAccountKind:
		if s.Name != "" {
			errs = append(errs, meta.NameError(at.Child("name"), s.Name, meta.DNSSubdomain)...)
		}
		if s.APIGroup != "" {
			errs = append(errs, field.NotSupported(at.Child("apiGroup"), s.APIGroup, []string{""}))
		}
		if !namespaced && s.Namespace == "" {
			errs = append(errs, field.Required(at.Child("namespace"), ""))
		}
	case rbacv1.UserKind, rbacv1.GroupKind:
		if s.APIGroup != rbacv1.GroupName {
			errs = append(errs, field.NotSupported(at.Child("apiGroup"), s.APIGroup, []string{rbacv1.GroupName}))
		}
	default:
		errs = append(errs, field.NotSupported(at.Child("kind"), s.Kind, []string{rbacv1.ServiceAccountKind, rbacv1.UserKind, rbacv1.GroupKind}))
	}
	return errs
}

// sameRole keeps what a binding grants: who may change a binding may not turn it into another grant.
func sameRole(next, old rbacv1.RoleRef) field.ErrorList {
	if next == old {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("roleRef"), meta.GoNames(next), "cannot change roleRef")}
}

func subjectNames(subjects []rbacv1.Subject, kind string) string {
	var names []string
	for _, s := range subjects {
		if s.Kind != kind {
			continue
		}
		if kind == rbacv1.ServiceAccountKind {
			names = append(names, s.Namespace+"/"+s.Name)
		} else {
			names = append(names, s.Name)
		}
	}
	return strings.Join(names, ", ")
}
