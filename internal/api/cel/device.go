package cel

import (
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/dynamic-resource-allocation/cel"
)

// Device compiles a selector of devices: it must come to a bool, or to an attribute
// that may be one. It also tells the most that evaluating it may cost.
func Device(text string, stored bool) (cost uint64, err error) {
	mode := environment.NewExpressions
	if stored {
		mode = environment.StoredExpressions
	}
	// What is on by default in the release whose types are served.
	features := cel.Features{EnableConsumableCapacity: true}
	r := cel.GetCompiler(features).CompileCELExpression(text, cel.Options{EnvType: &mode})
	if r.Error != nil {
		return r.MaxCost, deviceError(r.Error)
	}
	return r.MaxCost, nil
}
