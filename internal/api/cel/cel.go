// Package cel compiles the CEL expressions of admission policies, webhooks' match
// conditions and device selectors, when the objects that hold them are validated and
// when they are to be evaluated.
//
// Input: the text, what it may name (Scope), what it must come to (Want), and whether
// the text is stored already. Output: a Program, or an *Error with the words of
// Kubernetes, which Errors turns into a field error.
//
// Invariants: nothing is made before the first expression is compiled; environments
// without variables are shared and never changed after they are made; a Policy's own
// environments go with it. A new text is held to what the previous release of
// Kubernetes understands too, a stored one to whatever any release did.
//
// Read this file, then environment.go, then policy.go; device.go is for itself.
package cel

import (
	"errors"
	"fmt"

	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/mutation"
)

// Scope is what an expression may name besides object, oldObject, request and
// namespaceObject.
type Scope struct {
	Params     bool // params: the policy has a paramKind
	Authorizer bool // authorizer and authorizer.requestResource
	Patches    bool // the types Object and JSONPatch, and jsonpatch.escapeKey
}

// Want is what an expression must come to; the first that fits is enough.
type Want []*cel.Type

// What the fields of policies and webhooks want.
var (
	Anything           = Want{cel.AnyType, cel.DynType}
	Bool               = Want{cel.BoolType}
	String             = Want{cel.StringType}
	StringOrNull       = Want{cel.StringType, cel.NullType}
	ApplyConfiguration = Want{cel.ObjectType(mutation.ObjectTypeName)}
	JSONPatch          = Want{cel.ListType(cel.ObjectType(mutation.JSONPatchTypeName))}
)

// Expression is a text and where it stands.
type Expression struct {
	Text   string
	Scope  Scope
	Want   Want
	Stored bool // it was accepted before: what was known to any release is known
}

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	cel.Program
	Output *cel.Type
}

// Error tells why an expression does not compile.
type Error struct {
	Detail   string
	Internal bool // it is not the expression's fault
}

func (e *Error) Error() string { return e.Detail }

// Errors reports err, of the expression text, at its field; nil is nothing.
func Errors(at *field.Path, text string, err error) field.ErrorList {
	if err == nil {
		return nil
	}
	if e := (*Error)(nil); errors.As(err, &e) && !e.Internal {
		return field.ErrorList{field.Invalid(at, text, e.Detail)}
	}
	return field.ErrorList{field.InternalError(at, err)}
}

// Compile compiles an expression that sees no variables.
func Compile(e Expression) (*Program, error) {
	env, err := environmentOf(place{e.Scope, e.Stored})
	if err != nil {
		return nil, unexpected("loading CEL environment", err)
	}
	return compile(env, e)
}

func compile(env *cel.Env, e Expression) (*Program, error) {
	ast, issues := env.Compile(e.Text)
	if issues != nil {
		return nil, &Error{Detail: "compilation failed: " + issues.String()}
	}
	if !e.Want.has(ast.OutputType()) {
		return nil, &Error{Detail: e.Want.instead(ast.OutputType())}
	}
	p, err := env.Program(ast, cel.InterruptCheckFrequency(celconfig.CheckFrequency))
	if err != nil {
		return nil, &Error{Detail: "program instantiation failed: " + err.Error(), Internal: true}
	}
	return &Program{p, ast.OutputType()}, nil
}

func unexpected(doing string, err error) error {
	return &Error{Detail: fmt.Sprintf("unexpected error %s: %v", doing, err), Internal: true}
}

func (w Want) has(t *cel.Type) bool {
	for _, one := range w {
		if t.IsExactType(one) || cel.AnyType.IsExactType(one) {
			return true
		}
	}
	return false
}

func (w Want) instead(t *cel.Type) string {
	if len(w) == 1 {
		return fmt.Sprintf("must evaluate to %v but got %v", w[0], t)
	}
	return fmt.Sprintf("must evaluate to one of %v but got %v", []*cel.Type(w), t)
}
