// Package admission holds the built-in admission plugins, one file each. They
// run in the order of Plugins on every write, after defaults and before
// validation; each may change the object or refuse the write.
package admission

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// Operation is what a request does.
type Operation string

const (
	Create Operation = "CREATE"
	Update Operation = "UPDATE"
	Delete Operation = "DELETE"
)

// Attributes describe the write that is to be admitted.
type Attributes struct {
	Operation   Operation
	Resource    *api.Resource
	Subresource string
	Namespace   string
	Name        string
	User        *auth.User
	Object      api.Object // what would be stored; a plugin may change it. nil for Delete
	Old         api.Object // what is there; shared. nil for Create
	Warn        func(string)
	// Pin is a namespace that must still be as it is when the write happens.
	Pin *corev1.Namespace
}

// Plugin admits a write, changes it, or refuses it with an API status.
type Plugin interface {
	Admit(ctx context.Context, a *Attributes) error
}

// Plugins are all plugins in their order.
func Plugins(c client.Reader) []Plugin {
	return []Plugin{
		namespaceLifecycle{c},
		priority{c},
		serviceAccount{c},
		defaultTolerationSeconds{},
		taintNodesByCondition{},
	}
}

// creates tells whether the write creates an object of the Go type, and returns it.
func creates[T api.Object](a *Attributes) (T, bool) {
	var none T
	if a.Operation != Create || a.Subresource != "" {
		return none, false
	}
	o, ok := a.Object.(T)
	return o, ok
}
