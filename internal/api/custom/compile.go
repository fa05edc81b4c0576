package custom

import (
	"fmt"
	"sync"
	"weak"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// compiled is what of a schema stays in memory.
type compiled struct {
	root   *node // nil: there is no schema, or it is not structural
	status *node // of the property status
	opaque bool  // there is a schema that nodes cannot say
	err    error
	// rules are the compiled CEL rules; nil: there are none.
	rules func() *cel.Validator
	// structural stays for those who need it with every object: rules and embedded objects.
	structural *structural.Structural
}

// full is a schema in the forms of the libraries. It is some ten times as big as the nodes.
type full struct {
	structural *structural.Structural // nil: there is none
	object     validation.SchemaValidator
	status     validation.SchemaValidator // nil: statuses have no schema of their own
}

// fullKept leads to the last full while somebody holds it.
type fullKept struct {
	mu   sync.Mutex
	last weak.Pointer[full]
}

// compile makes the nodes of the version's schema.
func (v *Version) compile() *compiled {
	c := &compiled{rules: func() *cel.Validator { return nil }}
	props, err := v.schema()
	if err != nil {
		c.err = unservable(err)
		return c
	}
	if props == nil {
		return c
	}
	s, err := v.structural(props)
	if err != nil {
		c.err = err
		return c
	}
	if s == nil {
		c.opaque = true
		return c
	}
	b := builder{}
	c.root = b.spine(props, s)
	c.status = c.root.props["status"]
	if c.root.below&(hasRules|hasEmbedded) != 0 {
		c.structural = s
	}
	if c.root.below&hasRules != 0 {
		// Compiling takes milliseconds and megabytes: it waits for the first object that is validated.
		c.rules = sync.OnceValue(func() *cel.Validator { return cel.NewValidator(s, true, celconfig.PerCallLimit) })
	}
	return c
}

// structural is the schema without what is not allowed in defaults; nil when the schema is not structural and need not be.
func (v *Version) structural(props *apiextensions.JSONSchemaProps) (*structural.Structural, error) {
	s, err := structural.NewStructural(props)
	if v.loose {
		if err != nil {
			return nil, nil //nolint:nilerr // compat: old definitions may say what structural schemas cannot
		}
		return s, nil
	}
	if err != nil {
		return nil, unservable(err)
	}
	s = s.DeepCopy() // parts of it are those of props
	if err := defaulting.PruneDefaults(s); err != nil {
		return nil, unservable(err)
	}
	return s, nil
}

// forms are the library's forms of a schema.
func (v *Version) forms(props *apiextensions.JSONSchemaProps, s *structural.Structural) (full, error) {
	f := full{structural: s}
	var err error
	if f.object, _, err = validation.NewSchemaValidator(props); err != nil {
		return f, unservable(err)
	}
	if v.Status != nil && props != nil {
		if status, ok := props.Properties["status"]; ok {
			if f.status, _, err = validation.NewSchemaValidator(&status); err != nil {
				return f, unservable(err)
			}
		}
	}
	return f, nil
}

// fullForms are made when there is something to say, and left to the garbage collector after.
func (v *Version) fullForms() (*full, error) {
	c := v.compiled()
	if c.err != nil {
		return nil, c.err
	}
	v.full.mu.Lock()
	defer v.full.mu.Unlock()
	if f := v.full.last.Value(); f != nil {
		return f, nil
	}
	props, err := v.schema()
	if err != nil {
		return nil, unservable(err)
	}
	s := c.structural
	if s == nil && props != nil {
		if s, err = v.structural(props); err != nil {
			return nil, err
		}
	}
	f, err := v.forms(props, s)
	if err != nil {
		return nil, err
	}
	v.full.last = weak.Make(&f)
	return &f, nil
}

// unservable is in the words of Kubernetes. Validation of the definition keeps it from happening.
func unservable(err error) error {
	return fmt.Errorf("the server could not properly serve the CR schema: %w", err)
}
