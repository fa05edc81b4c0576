package api

import "github.com/skiff-k8s/skiff/internal/api/meta"

// The rules that names follow. With prefix, the text is a generateName.
var (
	NameIsDNSSubdomain = meta.NameIsDNSSubdomain
	NameIsLongName     = meta.NameIsLongName
	NameIsDNSLabel     = meta.NameIsDNSLabel
	NameIsDNS1035Label = meta.NameIsDNS1035Label
	// NameIsPathSegment accepts what fits into one segment of a URL path (RBAC names).
	NameIsPathSegment = meta.NameIsPathSegment
)
