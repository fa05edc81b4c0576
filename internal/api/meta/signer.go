package meta

import (
	"fmt"
	"slices"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// SignerName checks a domain and a path, such as example.com/signer.
func SignerName(name string, at *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	domain, path, ok := strings.Cut(name, "/")
	if !ok || strings.Contains(path, "/") {
		return field.ErrorList{field.Invalid(at, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")}
	}
	var errs field.ErrorList
	for _, label := range strings.Split(domain, ".") {
		if msgs := DNSLabel(label); len(msgs) > 0 {
			for _, m := range msgs {
				errs = append(errs, field.Invalid(at, domain, fmt.Sprintf("validating label %q: %s", label, m)))
			}
			break
		}
	}
	if len(strings.Split(domain, ".")) < 2 {
		errs = append(errs, field.Invalid(at, domain, "should be a domain with at least two segments separated by dots"))
	}
	for _, label := range strings.Split(path, ".") {
		if msgs := DNSSubdomain(label); len(msgs) > 0 {
			for _, m := range msgs {
				errs = append(errs, field.Invalid(at, path, fmt.Sprintf("validating label %q: %s", label, m)))
			}
			break
		}
	}
	if len(name) > 571 {
		errs = append(errs, field.TooLong(at, name, 571))
	}
	return errs
}

// TrustBundleName ties a bundle to its signer, if it has one: who may write for one signer cannot take another one's names.
func TrustBundleName(name, signer string) []string {
	if signer == "" {
		if strings.Contains(name, ":") {
			return []string{`ClusterTrustBundle without signer name must not have ":" in its name`}
		}
		return DNSSubdomain(name)
	}
	prefix := strings.ReplaceAll(signer, "/", ":") + ":"
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return []string{fmt.Sprintf("ClusterTrustBundle for signerName %s must be named with prefix %s", signer, prefix)}
	}
	return DNSSubdomain(rest)
}

// BundleSigner is the signer that the name of a trust bundle begins with; empty: none.
func BundleSigner(name string) string {
	i := strings.LastIndexByte(name, ':')
	if i < 0 {
		return ""
	}
	return strings.ReplaceAll(name[:i], ":", "/")
}

// UserAnnotations are rules of annotations, with a domain in each key: what pods tell signers.
func UserAnnotations(m map[string]string, at *field.Path) field.ErrorList {
	if len(m) == 0 {
		return nil
	}
	var errs field.ErrorList
	for k := range m {
		errs = append(errs, validation.IsDomainPrefixedKey(at, strings.ToLower(k))...)
	}
	if err := apivalidation.ValidateAnnotationsSize(m); err != nil {
		errs = append(errs, field.TooLong(at, "", apivalidation.TotalAnnotationSizeLimitB))
	}
	slices.SortFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}
