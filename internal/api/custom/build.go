package custom

import (
	"math"
	"reflect"
	"regexp"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// builder makes nodes, equal ones once: big schemas repeat themselves a lot.
type builder struct {
	known    map[string]*node // by everything that is in it
	ids      map[*node]uint64
	patterns map[string]*regexp.Regexp
	strip    func(*spec.Schema) error
}

// spine makes the node of a schema that is part of the object's structure. s is the same
// schema with its defaults pruned.
func (b *builder) spine(p *apiextensions.JSONSchemaProps, s *structural.Structural) *node {
	n := b.begin(p)
	n.preserve, n.embedded, n.fallback = s.XPreserveUnknownFields, s.XEmbeddedResource, s.Default.Object
	if s.XListType != nil {
		switch *s.XListType {
		case "set":
			n.list = &listKind{}
		case "map":
			n.list = &listKind{keys: s.XListMapKeys}
		}
	}
	if len(p.XValidations) > 0 {
		n.below |= hasRules // compat: rules within allOf and the like count only if there are others
	}
	if n.embedded {
		n.below |= hasEmbedded
	}
	if n.list != nil {
		n.below |= hasLists
	}
	if len(s.Properties) > 0 {
		n.props = make(map[string]*node, len(s.Properties))
		for name, sub := range s.Properties {
			q := p.Properties[name]
			n.props[name] = b.spine(&q, &sub)
			if sub.Default.Object != nil {
				n.defaults = append(n.defaults, name)
				n.below |= hasDefaults
			}
			n.below |= n.props[name].below
		}
		slices.Sort(n.defaults)
	}
	if a := s.AdditionalProperties; a != nil && a.Structural != nil {
		n.extra = b.spine(p.AdditionalProperties.Schema, a.Structural)
		n.take(n.extra)
	}
	if s.Items != nil {
		n.items = b.spine(p.Items.Schema, s.Items)
		n.take(n.items)
	}
	return b.end(n, p)
}

// take notes what there is below a child. A child with a default is one to look at even if nothing is below it.
func (n *node) take(child *node) {
	n.below |= child.below
	if child.fallback != nil {
		n.below |= hasDefaults
	}
}

// nested makes the node of a schema within allOf, anyOf, oneOf or not.
func (b *builder) nested(p *apiextensions.JSONSchemaProps) *node {
	n := b.begin(p)
	if len(p.Properties) > 0 {
		n.props = make(map[string]*node, len(p.Properties))
		for name, q := range p.Properties {
			n.props[name] = b.nested(&q)
		}
	}
	if a := p.AdditionalProperties; a != nil && a.Schema != nil {
		n.extra = b.nested(a.Schema)
	}
	if p.Items != nil && p.Items.Schema != nil {
		n.items = b.nested(p.Items.Schema)
	}
	return b.end(n, p)
}

func (b *builder) begin(p *apiextensions.JSONSchemaProps) *node {
	n := &node{types: kindsOf(p), nullable: p.Nullable}
	if a := p.AdditionalProperties; a != nil {
		n.extras, n.closed = true, !a.Allows
	}
	return n
}

// end adds the limits, and finds the node that is the same.
func (b *builder) end(n *node, p *apiextensions.JSONSchemaProps) *node {
	n.limits = b.limits(n, p)
	key := string(b.key(n))
	if have, ok := b.known[key]; ok {
		return have
	}
	if b.known == nil {
		b.known, b.ids = map[string]*node{}, map[*node]uint64{}
	}
	b.known[key] = n
	b.ids[n] = uint64(len(b.known))
	return n
}

func (b *builder) limits(n *node, p *apiextensions.JSONSchemaProps) *limits {
	l := &limits{
		format: b.format(p), minLength: count(p.MinLength), maxLength: count(p.MaxLength),
		minimum: p.Minimum, maximum: p.Maximum, exclusiveMinimum: p.ExclusiveMinimum, exclusiveMaximum: p.ExclusiveMaximum,
		multipleOf: p.MultipleOf, minItems: count(p.MinItems), maxItems: count(p.MaxItems),
		minProperties: count(p.MinProperties), maxProperties: count(p.MaxProperties), required: p.Required,
	}
	l.unsure = n.types == isOdd || p.UniqueItems || len(p.PatternProperties) > 0 || len(p.Dependencies) > 0 || len(p.Definitions) > 0 ||
		p.Ref != nil || p.AdditionalItems != nil || p.Items != nil && p.Items.Schema == nil
	if p.Pattern != "" {
		if l.pattern = b.pattern(p.Pattern); l.pattern == nil {
			l.unsure = true
		}
	}
	for _, v := range p.Enum {
		l.enum = append(l.enum, any(v))
	}
	all := func(in []apiextensions.JSONSchemaProps) (out []*node) {
		for i := range in {
			out = append(out, b.nested(&in[i]))
		}
		return out
	}
	l.allOf, l.anyOf, l.oneOf = all(p.AllOf), all(p.AnyOf), all(p.OneOf)
	if p.Not != nil {
		l.not = b.nested(p.Not)
	}
	none := limits{minLength: -1, maxLength: -1, minItems: -1, maxItems: -1, minProperties: -1, maxProperties: -1}
	if len(l.required) == 0 {
		l.required = nil
	}
	if reflect.DeepEqual(*l, none) {
		return nil
	}
	return l
}

// count is a bound as a number; negative bounds are none, which is what they come to except for maxima.
func count(n *int64) int64 {
	if n == nil {
		return -1
	}
	if *n < 0 {
		return math.MinInt64
	}
	return *n
}

func (b *builder) pattern(p string) *regexp.Regexp {
	re, ok := b.patterns[p]
	if !ok {
		re, _ = regexp.Compile(p) // what does not compile is left to the library, which tells why
		if b.patterns == nil {
			b.patterns = map[string]*regexp.Regexp{}
		}
		b.patterns[p] = re
	}
	return re
}

// format is the format if it is one that this version of Kubernetes judges by.
func (b *builder) format(p *apiextensions.JSONSchemaProps) string {
	if p.Format == "" {
		return ""
	}
	if b.strip == nil {
		b.strip = validation.StripUnsupportedFormatsPostProcessorForVersion(environment.DefaultCompatibilityVersion())
	}
	s := spec.Schema{SchemaProps: spec.SchemaProps{Format: p.Format}}
	switch {
	case p.XIntOrString:
		s.Type = spec.StringOrArray{"integer", "string"}
	case p.Type != "":
		s.Type = spec.StringOrArray{p.Type}
	}
	if err := b.strip(&s); err != nil {
		return p.Format
	}
	return s.Format
}
