package cel

import (
	"sync"
	"weak"

	"github.com/google/cel-go/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
	"k8s.io/apiserver/pkg/cel/mutation"
)

// place is what tells environments apart.
type place struct {
	scope  Scope
	stored bool
}

// environments are kept only while somebody holds a program of theirs, or until the next
// garbage collection: one is made in a fifth of a millisecond, and policies are seldom written.
var environments struct {
	mu   sync.Mutex
	made map[place]weak.Pointer[cel.Env]
}

func environmentOf(p place) (*cel.Env, error) {
	environments.mu.Lock()
	defer environments.mu.Unlock()
	if e := environments.made[p].Value(); e != nil {
		return e, nil
	}
	e, err := newEnvironment(p)
	if err != nil {
		return nil, err
	}
	if environments.made == nil {
		environments.made = map[place]weak.Pointer[cel.Env]{}
	}
	environments.made[p] = weak.Make(e)
	return e, nil
}

// newEnvironment declares what requests bring along on top of the functions of Kubernetes.
func newEnvironment(p place) (*cel.Env, error) {
	mode := environment.NewExpressions
	if p.stored {
		mode = environment.StoredExpressions
	}
	base, err := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()).Env(mode)
	if err != nil {
		return nil, err
	}
	options, err := declare(base, requestType(), namespaceType())
	if err != nil {
		return nil, err
	}
	options = append(options,
		cel.Variable("object", cel.DynType),
		cel.Variable("oldObject", cel.DynType),
		cel.Variable("request", requestType().CelType()),
		cel.Variable("namespaceObject", namespaceType().CelType()),
	)
	if p.scope.Params {
		options = append(options, cel.Variable("params", cel.DynType))
	}
	if p.scope.Authorizer {
		options = append(options,
			cel.Variable("authorizer", library.AuthorizerType),
			cel.Variable("authorizer.requestResource", library.ResourceCheckType))
	}
	if p.scope.Patches {
		options = append(options, common.ResolverEnvOption(&mutation.DynamicTypeResolver{}), library.JSONPatch())
	}
	return base.Extend(options...)
}
