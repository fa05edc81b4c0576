package admissionpolicystatus

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/skiff-k8s/skiff/internal/api/schema"
)

// resolver puts into schemas what they refer to, for those who read the whole of one.
type resolver struct {
	definitions *schema.Definitions
	read        map[string]*spec.Schema
}

// newResolver unpacks the definitions. It is for one goroutine, and not to be kept.
func newResolver() (*resolver, error) {
	d, err := schema.Unpack()
	if err != nil {
		return nil, err
	}
	return &resolver{d, map[string]*spec.Schema{}}, nil
}

// named is the definition of that name without references; an error when there is none.
func (r *resolver) named(name string) (*spec.Schema, error) {
	return r.full(spec.RefSchema(schema.Refs + name))
}

// full is a schema without references. What contains itself is an object of which nothing is known, inside of itself.
func (r *resolver) full(s *spec.Schema) (*spec.Schema, error) { return r.resolve(s, map[string]bool{}) }

func (r *resolver) definition(name string) (*spec.Schema, error) {
	if s := r.read[name]; s != nil {
		return s, nil
	}
	b := r.definitions.JSON(name)
	if b == nil {
		return nil, fmt.Errorf("there is no schema named %q", name)
	}
	s := &spec.Schema{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, err
	}
	r.read[name] = s
	return s, nil
}

func (r *resolver) resolve(s *spec.Schema, inside map[string]bool) (*spec.Schema, error) {
	if name := refOf(s); name != "" {
		if inside[name] {
			return &spec.Schema{SchemaProps: spec.SchemaProps{Type: []string{"object"}}}, nil
		}
		inside[name] = true
		defer delete(inside, name)
		d, err := r.definition(name)
		if err != nil {
			return nil, err
		}
		s = d
	}
	out := *s
	if len(s.Properties) > 0 {
		out.Properties = make(map[string]spec.Schema, len(s.Properties))
		for name, p := range s.Properties {
			is, err := r.resolve(&p, inside)
			if err != nil {
				return nil, err
			}
			out.Properties[name] = *is
		}
	}
	if a := s.AdditionalProperties; a != nil && a.Schema != nil {
		is, err := r.resolve(a.Schema, inside)
		if err != nil {
			return nil, err
		}
		out.AdditionalProperties = &spec.SchemaOrBool{Allows: a.Allows, Schema: is}
	}
	if s.Items != nil && s.Items.Schema != nil {
		is, err := r.resolve(s.Items.Schema, inside)
		if err != nil {
			return nil, err
		}
		out.Items = &spec.SchemaOrArray{Schema: is}
	}
	return &out, nil
}

// refOf is the name that a schema refers to, itself or in an allOf, which leaves room for a description.
func refOf(s *spec.Schema) string {
	if s.Ref.GetURL() != nil {
		return strings.TrimPrefix(s.Ref.String(), schema.Refs)
	}
	for i := range s.AllOf {
		if name := refOf(&s.AllOf[i]); name != "" {
			return name
		}
	}
	return ""
}
