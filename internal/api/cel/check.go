package cel

import (
	celgo "github.com/google/cel-go/cel"
	"k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
	"k8s.io/apiserver/pkg/cel/openapi"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Checker looks at a policy's expressions knowing what objects of one kind have. What it
// finds is for people: the policy works as before. It is for one goroutine.
type Checker struct {
	variables *cel.DeclType
	env       *celgo.Env
}

// Known is what objects of a kind have; nil: anything.
type Known struct{ declared *cel.DeclType }

// Know reads a schema, which has no references. The name is told in what is found.
func Know(s *spec.Schema, name string) *Known {
	t := common.SchemaDeclType(&openapi.Schema{Schema: s}, true)
	if t == nil {
		return nil
	}
	return &Known{t.MaybeAssignTypeName(name)}
}

// NewChecker makes a checker for objects and, where the policy has some, parameters.
//
// compat: authorizer.requestResource is not known when types are checked.
func NewChecker(object, params *Known, hasParams bool) (*Checker, error) {
	base, err := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()).Env(environment.StoredExpressions)
	if err != nil {
		return nil, err
	}
	c := &Checker{variables: variablesType()}
	types := []*cel.DeclType{requestType(), namespaceType(), c.variables}
	named := func(k *Known) *celgo.Type {
		if k == nil {
			return celgo.DynType
		}
		types = append(types, k.declared)
		return k.declared.CelType()
	}
	is := named(object)
	options := []celgo.EnvOption{
		celgo.Variable("object", is),
		celgo.Variable("oldObject", is),
		celgo.Variable("request", requestType().CelType()),
		celgo.Variable("namespaceObject", namespaceType().CelType()),
		celgo.Variable("authorizer", library.AuthorizerType),
		celgo.Variable("variables", c.variables.CelType()),
	}
	if hasParams {
		options = append(options, celgo.Variable("params", named(params)))
	}
	declared, err := declare(base, types...)
	if err != nil {
		return nil, err
	}
	c.env, err = base.Extend(append(declared, options...)...)
	return c, err
}

// Variable notes a variable of the policy for the expressions after it.
func (c *Checker) Variable(name, text string) {
	t := cel.DynType
	if ast, issues := c.env.Compile(text); issues == nil {
		t = declared(ast.OutputType())
	}
	c.variables.Fields[name] = required(name, t)
}

// Check tells what is wrong with an expression; empty: nothing.
func (c *Checker) Check(text string) string {
	if _, issues := c.env.Compile(text); issues != nil {
		return issues.String()
	}
	return ""
}
