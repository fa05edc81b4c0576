package cel

import (
	celgo "github.com/google/cel-go/cel"
	"k8s.io/apiserver/pkg/cel"
)

// Policy compiles the expressions of one policy, which see its variables: first the
// variables in their order, then the rest. It is for one goroutine.
type Policy struct {
	// variables is the type of the variable "variables". Environments look its fields up
	// when they compile, so what is added is seen by all that were made before.
	variables *cel.DeclType
	made      map[place]*celgo.Env
}

// NewPolicy is a policy without variables yet.
func NewPolicy() *Policy {
	return &Policy{variables: variablesType(), made: map[place]*celgo.Env{}}
}

// Variable compiles an expression that later ones may name as variables.NAME, also
// when it does not compile: then it may be anything.
func (p *Policy) Variable(name string, e Expression) (*Program, error) {
	e.Want = Anything
	prog, err := p.Compile(e)
	t := cel.DynType
	if err == nil {
		t = declared(prog.Output)
	}
	p.variables.Fields[name] = required(name, t)
	return prog, err
}

// Compile compiles an expression that sees the variables so far.
func (p *Policy) Compile(e Expression) (*Program, error) {
	at := place{e.Scope, e.Stored}
	env := p.made[at]
	if env == nil {
		var err error
		if env, err = p.environment(at); err != nil {
			return nil, unexpected("loading CEL environment", err)
		}
		p.made[at] = env
	}
	return compile(env, e)
}

func (p *Policy) environment(at place) (*celgo.Env, error) {
	base, err := environmentOf(at)
	if err != nil {
		return nil, err
	}
	options, err := declare(base, p.variables)
	if err != nil {
		return nil, err
	}
	return base.Extend(append(options, celgo.Variable("variables", p.variables.CelType()))...)
}
