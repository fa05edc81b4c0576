package apiextensions

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

const (
	ruleCostLimit   = 10_000_000  // of a rule, at most, in all the values that it is evaluated for
	schemaCostLimit = 100_000_000 // of all rules of a schema
	namedCosts      = 4           // how many rules are named when a schema costs too much
)

// ruleScope is where rules of a schema are compiled: the types that they see, and how often there may be a
// value of the schema in an object. A nil scope is nowhere.
type ruleScope struct {
	props  *apiextensions.JSONSchemaProps
	parent *ruleScope
	from   func(*ruleType) *ruleType // finds the type in that of the parent
	ruled  bool                      // there are rules here or above
	times  uint64                    // how often there may be a value
	bound  bool                      // false: nothing limits that
	bill   *bill

	known *ruleType
	err   error
}

// ruleType is a schema in the two forms that the compiler wants.
type ruleType struct {
	schema   *schema.Structural
	declared *apiservercel.DeclType
}

func rootScope(s *apiextensions.JSONSchemaProps) *ruleScope {
	return &ruleScope{props: s, ruled: len(s.XValidations) > 0, times: 1, bound: true, bill: &bill{}}
}

func (c *ruleScope) inside(s *apiextensions.JSONSchemaProps, from func(*ruleType) *ruleType) *ruleScope {
	if c == nil || s == nil {
		return nil
	}
	in := &ruleScope{props: s, parent: c, from: from, ruled: c.ruled || len(s.XValidations) > 0, bill: c.bill}
	if n, bound := mostInside(c.props); bound && c.bound {
		in.times, in.bound = multiply(c.times, n), true
	}
	return in
}

func (c *ruleScope) property(s *apiextensions.JSONSchemaProps, name string) *ruleScope {
	return c.inside(s, func(t *ruleType) *ruleType {
		escaped, ok := apiservercel.Escape(name)
		if !ok || t.schema.Properties == nil {
			return nil
		}
		// Fields whose type is unknown are not there for rules.
		f, ok := t.declared.Fields[escaped]
		if !ok {
			return nil
		}
		in := t.schema.Properties[name]
		return &ruleType{&in, f.Type}
	})
}

func (c *ruleScope) items(s *apiextensions.JSONSchemaProps) *ruleScope {
	return c.inside(s, func(t *ruleType) *ruleType {
		if t.schema.Items == nil {
			return nil
		}
		return &ruleType{t.schema.Items, t.declared.ElemType}
	})
}

// values is the scope of the additional properties.
func (c *ruleScope) values(s *apiextensions.JSONSchemaProps) *ruleScope {
	return c.inside(s, func(t *ruleType) *ruleType {
		if t.schema.AdditionalProperties == nil {
			return nil
		}
		return &ruleType{t.schema.AdditionalProperties.Structural, t.declared.ElemType}
	})
}

// typed is the type of the schema: part of that of the parent where that is needed anyway, and made from the
// schema otherwise, which takes time in large schemas.
func (c *ruleScope) typed() (*ruleType, error) {
	if c.known != nil || c.err != nil {
		return c.known, c.err
	}
	if c.parent != nil && c.parent.ruled {
		t, err := c.parent.typed()
		if err != nil {
			c.err = err
			return nil, err
		}
		// compat: a schema that is no part of the type of its parent (items of an object) has no type, and
		// its rules cannot be compiled; what is inside of it has one of its own.
		if t.declared != nil {
			if c.known = c.from(t); c.known != nil {
				return c.known, nil
			}
		}
	}
	s, err := schema.NewStructural(c.props)
	if err != nil {
		c.err = err
		return nil, err
	}
	declared := model.SchemaDeclType(s, c.parent == nil || c.props.XEmbeddedResource)
	if declared == nil {
		c.err = errors.New("unable to convert structural schema to CEL declarations")
		return nil, c.err
	}
	c.known = &ruleType{s, declared}
	return c.known, nil
}

// cost is what a rule costs at most in one object.
func (c *ruleScope) cost(r cel.CompilationResult) uint64 {
	if c.bound {
		return multiply(r.MaxCost, c.times)
	}
	return multiply(r.MaxCost, r.MaxCardinality)
}

// mostInside is how many values there may be of what is inside of a schema for each of its own.
func mostInside(s *apiextensions.JSONSchemaProps) (n uint64, bound bool) {
	limit := func(n *int64) (uint64, bool) {
		if n == nil {
			return 0, false
		}
		return uint64(max(*n, 0)), true
	}
	switch {
	case s.Type == "object" && s.AdditionalProperties != nil:
		return limit(s.MaxProperties)
	case s.Type == "array":
		return limit(s.MaxItems)
	}
	return 1, true
}

func multiply(a, b uint64) uint64 {
	if hi, lo := bits.Mul64(a, b); hi == 0 {
		return lo
	}
	return math.MaxUint64
}

// bill adds up what the rules of a schema cost.
type bill struct {
	total   uint64
	largest []item // at least a hundredth of what there is, most expensive first
}

type item struct {
	at   *field.Path
	cost uint64
}

func (b *bill) add(at *field.Path, cost uint64) {
	sum, carry := bits.Add64(b.total, cost, 0)
	if carry > 0 {
		sum = math.MaxUint64
	}
	b.total = sum
	if cost < schemaCostLimit/100 {
		return
	}
	i := slices.IndexFunc(b.largest, func(x item) bool { return x.cost < cost })
	if i < 0 {
		i = len(b.largest)
	}
	b.largest = slices.Insert(b.largest, i, item{at, cost})
	b.largest = b.largest[:min(len(b.largest), namedCosts)]
}

// overBudget says that the rules of a schema cost too much together, and which ones most of it.
func (c *ruleScope) overBudget(at *field.Path) field.ErrorList {
	if c == nil || c.bill.total <= schemaCostLimit {
		return nil
	}
	var errs field.ErrorList
	for _, x := range c.bill.largest {
		errs = append(errs, field.Forbidden(x.at, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"))
	}
	return append(errs, field.Forbidden(at, overBudget("x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema", c.bill.total, schemaCostLimit)))
}

func overBudget(what string, cost, limit uint64) string {
	times := float64(cost) / float64(limit)
	var factor string
	switch {
	case times > 100:
		factor = "more than 100x"
	case times < 1.5:
		factor = fmt.Sprintf("%fx", times) // never "by factor of 1.0x"
	default:
		factor = fmt.Sprintf("%.1fx", times)
	}
	return fmt.Sprintf("%s exceeds budget by factor of %s (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)", what, factor)
}
