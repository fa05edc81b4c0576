package api

import (
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
)

// The rules that names follow. With prefix, the text is a generateName.
var (
	NameIsDNSSubdomain = validation.NameIsDNSSubdomain
	NameIsDNSLabel     = validation.NameIsDNSLabel
	NameIsDNS1035Label = validation.NameIsDNS1035Label
)

// NameIsPathSegment accepts what fits into one segment of a URL path (RBAC names).
func NameIsPathSegment(name string, prefix bool) []string {
	return path.ValidatePathSegmentName(name, prefix)
}
