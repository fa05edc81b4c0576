package flowcontrol

import (
	"fmt"
	"slices"
	"strings"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

const every = "*"

func validateRules(r *flowcontrolv1.PolicyRulesWithSubjects, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(r.Subjects) == 0 {
		errs = append(errs, field.Required(at.Child("subjects"), "subjects must contain at least one value"))
	}
	for i := range r.Subjects {
		errs = append(errs, validateSubject(&r.Subjects[i], at.Child("subjects").Index(i))...)
	}
	if len(r.ResourceRules) == 0 && len(r.NonResourceRules) == 0 {
		errs = append(errs, field.Required(at, "at least one of resourceRules and nonResourceRules has to be non-empty"))
	}
	for i := range r.ResourceRules {
		errs = append(errs, validateResourceRule(&r.ResourceRules[i], at.Child("resourceRules").Index(i))...)
	}
	for i := range r.NonResourceRules {
		q, idx := &r.NonResourceRules[i], at.Child("nonResourceRules").Index(i)
		errs = append(errs, validateVerbs(q.Verbs, idx.Child("verbs"))...)
		urls := idx.Child("nonResourceURLs")
		errs = append(errs, validateStar(q.NonResourceURLs, urls, "nonResourceURLs must contain at least one value", "non-resource URLs")...)
		if !slices.Contains(q.NonResourceURLs, every) {
			for j, u := range q.NonResourceURLs {
				errs = append(errs, validateURLPath(u, urls.Index(j))...)
			}
		}
	}
	return errs
}

// validateStar checks a list that names something, or is all of them in one star.
func validateStar(values []string, at *field.Path, none, others string) field.ErrorList {
	switch {
	case len(values) == 0:
		return field.ErrorList{field.Required(at, none)}
	case len(values) > 1 && slices.Contains(values, every):
		return field.ErrorList{field.Invalid(at, values, "if '*' is present, must not specify other "+others)}
	}
	return nil
}

var verbs = []string{"create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"}

func validateVerbs(values []string, at *field.Path) field.ErrorList {
	errs := validateStar(values, at, "verbs must contain at least one value", "verbs")
	unknown := func(v string) bool { return !slices.Contains(verbs, v) }
	if !slices.Contains(values, every) && slices.ContainsFunc(values, unknown) {
		errs = append(errs, field.NotSupported(at, values, verbs))
	}
	return errs
}

func validateResourceRule(q *flowcontrolv1.ResourcePolicyRule, at *field.Path) field.ErrorList {
	errs := validateVerbs(q.Verbs, at.Child("verbs"))
	errs = append(errs, validateStar(q.APIGroups, at.Child("apiGroups"), "resource rules must supply at least one api group", "api groups")...)
	errs = append(errs, validateStar(q.Resources, at.Child("resources"), "resource rules must supply at least one resource", "resources")...)
	at = at.Child("namespaces")
	switch {
	case len(q.Namespaces) == 0 && !q.ClusterScope:
		errs = append(errs, field.Required(at, "resource rules that are not cluster scoped must supply at least one namespace"))
	case slices.Contains(q.Namespaces, every):
		errs = append(errs, validateStar(q.Namespaces, at, "", "namespaces")...)
	default:
		for i, n := range q.Namespaces {
			for _, m := range meta.DNSLabel(n) {
				errs = append(errs, field.Invalid(at.Index(i), n, "each member of this list must be '*' or a DNS-1123 label; "+m))
			}
		}
	}
	return errs
}

// validateURLPath checks a path that may end in /*, which then stands for all below it.
func validateURLPath(path string, at *field.Path) field.ErrorList {
	text := ""
	stars := strings.Count(path, every)
	switch {
	case path == "":
		text = "must not be empty"
	case !strings.HasPrefix(path, "/"):
		text = "must start with slash"
	case strings.Contains(path, " "):
		text = "must not contain white-space"
	case strings.Contains(path, "//"):
		text = "must not contain double slash"
	case stars > 1 || stars == 1 && !strings.HasSuffix(path, "/*"):
		text = "wildcard can only do suffix matching"
	default:
		return nil
	}
	return field.ErrorList{field.Invalid(at, path, text)}
}

func validateSubject(s *flowcontrolv1.Subject, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	// part tells whether the part for that kind of subject is to be looked into.
	part := func(kind flowcontrolv1.SubjectKind, name string, set bool) bool {
		switch {
		case s.Kind == kind && !set:
			errs = append(errs, field.Required(at.Child(name), fmt.Sprintf("%s is required when subject kind is '%s'", name, kind)))
		case s.Kind != kind && set:
			errs = append(errs, field.Forbidden(at.Child(name), fmt.Sprintf("%s is forbidden when subject kind is not '%s'", name, kind)))
		}
		return s.Kind == kind && set
	}
	kinds := []flowcontrolv1.SubjectKind{flowcontrolv1.SubjectKindGroup, flowcontrolv1.SubjectKindServiceAccount, flowcontrolv1.SubjectKindUser}
	if !slices.Contains(kinds, s.Kind) {
		return field.ErrorList{field.NotSupported(at.Child("kind"), s.Kind, kinds)}
	}
	if part(flowcontrolv1.SubjectKindServiceAccount, "serviceAccount", s.ServiceAccount != nil) {
		errs = append(errs, validateAccount(s.ServiceAccount, at.Child("serviceAccount"))...)
	}
	if part(flowcontrolv1.SubjectKindUser, "user", s.User != nil) && s.User.Name == "" {
		errs = append(errs, field.Required(at.Child("user", "name"), ""))
	}
	if part(flowcontrolv1.SubjectKindGroup, "group", s.Group != nil) && s.Group.Name == "" {
		errs = append(errs, field.Required(at.Child("group", "name"), ""))
	}
	return errs
}

func validateAccount(a *flowcontrolv1.ServiceAccountSubject, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch a.Name {
	case "":
		errs = append(errs, field.Required(at.Child("name"), ""))
	case every:
	default:
		errs = append(errs, meta.NameError(at.Child("name"), a.Name, meta.DNSSubdomain)...)
	}
	if a.Namespace == "" {
		return append(errs, field.Required(at.Child("namespace"), "must specify namespace for service account"))
	}
	return append(errs, meta.NameError(at.Child("namespace"), a.Namespace, meta.DNSLabel)...)
}
