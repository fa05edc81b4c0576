package custom

import (
	"regexp"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
)

// node is a schema as it is asked of every object. Equal subtrees are one node.
type node struct {
	types    kinds
	nullable bool
	preserve bool // x-kubernetes-preserve-unknown-fields
	embedded bool // x-kubernetes-embedded-resource
	extras   bool // additionalProperties is said: true, false or a schema
	closed   bool // additionalProperties: false
	below    traits

	props    map[string]*node
	extra    *node // the schema of additionalProperties
	items    *node
	fallback any      // the default; nil: none
	defaults []string // the properties that have one
	list     *listKind
	limits   *limits // nil: there are none
}

// listKind is what x-kubernetes-list-type says of sets and maps.
type listKind struct {
	keys []string // nil: it is a set
}

// limits are the rest of validation.
type limits struct {
	unsure bool // there is something here that only the library judges
	format string

	minLength, maxLength int64 // -1: none
	pattern              *regexp.Regexp
	enum                 []any

	minimum, maximum                   *float64
	exclusiveMinimum, exclusiveMaximum bool
	multipleOf                         *float64

	minItems, maxItems           int64
	minProperties, maxProperties int64
	required                     []string

	allOf, anyOf, oneOf []*node
	not                 *node
}

// traits say what there is at a node or below: what is not there need not be looked for.
type traits uint8

const (
	hasDefaults traits = 1 << iota
	hasEmbedded
	hasLists
	hasRules
)

// kinds is a set of JSON types; none allows all of them.
type kinds uint8

const (
	isString kinds = 1 << iota
	isInteger
	isNumber
	isBoolean
	isObject
	isArray
	isOdd // some word that is no type
)

func kindsOf(p *apiextensions.JSONSchemaProps) kinds {
	if p.XIntOrString {
		return isInteger | isString
	}
	switch p.Type {
	case "":
		return 0
	case "string":
		return isString
	case "integer":
		return isInteger
	case "number":
		return isNumber
	case "boolean":
		return isBoolean
	case "object":
		return isObject
	case "array":
		return isArray
	}
	return isOdd
}

// under is the schema of a property; nil: nothing is known of it.
func (n *node) under(key string) *node {
	if p, ok := n.props[key]; ok {
		return p
	}
	return n.extra
}
