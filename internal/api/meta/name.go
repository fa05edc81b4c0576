// Package meta is what the rows of all groups share to check and print parts of
// objects: names, labels, selectors, quantities, addresses. The checks return
// field errors with Kubernetes' texts. What is right is recognised by a scan of
// the bytes; only what is wrong pays for the regular expressions of apimachinery,
// which word the message. Paths are made for errors only (path.go). Parts of objects
// are compared by Equal. Read name.go first.
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
	if subdomain(s) {
		return nil
	}
	return validation.IsDNS1123Subdomain(s)
}

// subdomain tells whether s is DNS labels with dots between them.
func subdomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for {
		label, next, more := strings.Cut(s, ".")
		if !dnsLabel(label) {
			return false
		}
		if !more {
			return true
		}
		s = next
	}
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
	if qualified(s) {
		return nil
	}
	return validation.IsQualifiedName(s)
}

func qualified(s string) bool {
	prefix, name, has := strings.Cut(s, "/")
	return !has && part(prefix) || has && part(name) && subdomain(prefix)
}

// LabelValue says what is wrong with the value of a label.
func LabelValue(s string) []string {
	if labelValue(s) {
		return nil
	}
	return validation.IsValidLabelValue(s)
}

func labelValue(s string) bool { return s == "" || part(s) }

// EnvName says what is wrong with the name of an environment variable.
func EnvName(s string) []string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '=' {
			return validation.IsRelaxedEnvVarName(s)
		}
	}
	if s == "" {
		return validation.IsRelaxedEnvVarName(s)
	}
	return nil
}

// PortName says what is wrong with the name of a port.
func PortName(s string) []string {
	letter, good := false, s != "" && len(s) <= 15 && s[0] != '-' && s[len(s)-1] != '-'
	for i := 0; good && i < len(s); i++ {
		letter = letter || 'a' <= s[i] && s[i] <= 'z'
		good = lowerAlnum(s[i]) || s[i] == '-' && s[i-1] != '-'
	}
	if good && letter {
		return nil
	}
	return validation.IsValidPortName(s)
}

// ConfigKey says what is wrong with a key of a ConfigMap or a Secret.
func ConfigKey(s string) []string {
	good := s != "" && s != "." && len(s) <= 253 && !strings.HasPrefix(s, "..")
	for i := 0; good && i < len(s); i++ {
		good = alnum(s[i]) || s[i] == '-' || s[i] == '_' || s[i] == '.'
	}
	if good {
		return nil
	}
	return validation.IsConfigMapKey(s)
}

// HeaderName says what is wrong with the name of an HTTP header.
func HeaderName(s string) []string {
	good := s != ""
	for i := 0; good && i < len(s); i++ {
		good = alnum(s[i]) || s[i] == '-'
	}
	if good {
		return nil
	}
	return validation.IsHTTPHeaderName(s)
}

// NameError checks a required-to-be-valid name with one of the functions above.
func NameError(path *field.Path, s string, check func(string) []string) field.ErrorList {
	if m := check(s); m != nil {
		return Invalids(path, s, m)
	}
	return nil
}
