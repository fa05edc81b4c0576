// Package meta is what the rows of all groups share to check and print parts of
// objects: names, labels, selectors, quantities, addresses. The checks return
// field errors with Kubernetes' texts. What is right is recognised by a scan of
// the bytes; only what is wrong pays for the regular expressions of apimachinery,
// which word the message. Read name.go first.
package meta

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Invalids turns each message into an error about the value.
func Invalids(path *field.Path, value any, messages []string) field.ErrorList {
	var errs field.ErrorList
	for _, m := range messages {
		errs = append(errs, field.Invalid(path, value, m))
	}
	return errs
}

func lowerAlnum(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func alnum(c byte) bool { return lowerAlnum(c) || 'A' <= c && c <= 'Z' }

// dnsLabel tells whether s[from:to] is a non-empty DNS label of any length.
func dnsLabel(s string) bool {
	if s == "" || !lowerAlnum(s[0]) || !lowerAlnum(s[len(s)-1]) {
		return false
	}
	for i := 1; i < len(s)-1; i++ {
		if !lowerAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// DNSLabel says what is wrong with an RFC 1123 label.
func DNSLabel(s string) []string {
	if len(s) <= 63 && dnsLabel(s) {
		return nil
	}
	return validation.IsDNS1123Label(s)
}

// DNSSubdomain says what is wrong with an RFC 1123 subdomain.
func DNSSubdomain(s string) []string {
	if len(s) <= 253 {
		rest, good := s, true
		for good {
			label, next, more := strings.Cut(rest, ".")
			good = dnsLabel(label)
			if !more {
				break
			}
			rest = next
		}
		if good {
			return nil
		}
	}
	return validation.IsDNS1123Subdomain(s)
}

// part tells whether s is what the name part of a label key and a label value look like.
func part(s string) bool {
	if s == "" || len(s) > 63 || !alnum(s[0]) || !alnum(s[len(s)-1]) {
		return false
	}
	for i := 1; i < len(s)-1; i++ {
		if c := s[i]; !alnum(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// QualifiedName says what is wrong with a label key or any other qualified name.
func QualifiedName(s string) []string {
	prefix, name, has := strings.Cut(s, "/")
	if !has && part(prefix) || has && part(name) && DNSSubdomain(prefix) == nil {
		return nil
	}
	return validation.IsQualifiedName(s)
}

// LabelValue says what is wrong with the value of a label.
func LabelValue(s string) []string {
	if s == "" || part(s) {
		return nil
	}
	return validation.IsValidLabelValue(s)
}

// EnvName says what is wrong with the name of an environment variable.
func EnvName(s string) []string {
	return validation.IsRelaxedEnvVarName(s)
}

// NameError checks a required-to-be-valid name with one of the functions above.
func NameError(path *field.Path, s string, check func(string) []string) field.ErrorList {
	if m := check(s); m != nil {
		return Invalids(path, s, m)
	}
	return nil
}
