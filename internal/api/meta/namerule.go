package meta

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
)

// The rules that names of objects follow. With prefix, the text is a generateName.

// NameIsDNSSubdomain is the rule of most kinds.
func NameIsDNSSubdomain(name string, prefix bool) []string {
	if subdomain(stem(name, prefix)) {
		return nil
	}
	return validation.NameIsDNSSubdomain(name, prefix)
}

// NameIsLongName is NameIsDNSSubdomain in the words of kinds whose rules are declared with their types.
func NameIsLongName(name string, prefix bool) []string {
	if s := stem(name, prefix); !subdomain(s) {
		return content.IsDNS1123Subdomain(s)
	}
	return nil
}

// NameIsDNSLabel is the rule of what becomes a single label in DNS.
func NameIsDNSLabel(name string, prefix bool) []string {
	if s := stem(name, prefix); len(s) <= 63 && dnsLabel(s) {
		return nil
	}
	return validation.NameIsDNSLabel(name, prefix)
}

// NameIsDNS1035Label is NameIsDNSLabel with a letter first.
func NameIsDNS1035Label(name string, prefix bool) []string {
	if s := stem(name, prefix); len(s) <= 63 && dnsLabel(s) && s[0] > '9' {
		return nil
	}
	return validation.NameIsDNS1035Label(name, prefix)
}

// NameIsPathSegment accepts what fits into one segment of a URL path (RBAC names).
func NameIsPathSegment(name string, prefix bool) []string {
	if name == "." || name == ".." || strings.ContainsAny(name, "/%") {
		return path.ValidatePathSegmentName(name, prefix)
	}
	return nil
}

// stem is a generateName without the hyphen that it may end with.
func stem(name string, prefix bool) string {
	if prefix && len(name) > 1 {
		return strings.TrimSuffix(name, "-")
	}
	return name
}
