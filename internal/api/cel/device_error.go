package cel

import "k8s.io/apiserver/pkg/cel"

// deviceError is the compiler's error as ours.
func deviceError(e *cel.Error) error {
	return &Error{Detail: e.Detail, Internal: e.Type == cel.ErrorTypeInternal}
}
