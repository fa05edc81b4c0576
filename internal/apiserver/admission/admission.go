// Package admission holds the built-in admission plugins, one file each.
//
// A write passes them twice: Admit may change the object (after defaults, before
// validation), Validate may not (after the row's validation). Either may refuse the
// write with an API status. Admit may run several times on one object (a write that
// lost a race is tried anew), so running it again must change nothing.
//
// Inputs: Attributes, and the API as a reader. Output: the object, or the status.
// The table in chain.go says which plugin looks at which resource and operation; what is not
// in the table costs a write nothing. Quotas are charged by the server in the transaction
// that writes the object (../quota.go), by the rules of package api/quota.
//
// Read this file, then chain.go, then taintnodes.go as the smallest plugin.
package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

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
	Object      api.Object // what would be stored; Admit may change it. nil for Delete
	Old         api.Object // what is there; shared. nil for Create
	DryRun      bool
	Warn        func(string)
	// Pin is a namespace that must still be as it is when the write happens.
	Pin *corev1.Namespace
}

// forbidden refuses the write.
func (a *Attributes) forbidden(format string, args ...any) error {
	return a.refuse(fmt.Errorf(format, args...))
}

func (a *Attributes) refuse(err error) error {
	return apierrors.NewForbidden(a.Resource.GroupResource(), a.Name, err)
}

// Access is a question to the Authorizer.
type Access struct {
	Verb, Group, Resource, Subresource, Namespace, Name string
}

// Authorizer tells whether a user may do something besides the write itself.
type Authorizer interface {
	Allowed(ctx context.Context, u *auth.User, a Access) bool
}

// Exemptions are what PodSecurity does not look at.
type Exemptions struct {
	Usernames, Namespaces, RuntimeClasses []string
}

// Config is what plugins need.
type Config struct {
	Reader client.Reader
	// Authorizer answers what CSR and trust bundle plugins ask; nil admits administrators only.
	Authorizer  Authorizer
	PodSecurity Exemptions
}

// administrators is the Authorizer of a server that has no rules.
type administrators struct{}

func (administrators) Allowed(_ context.Context, u *auth.User, _ Access) bool {
	return u.In(auth.GroupMasters)
}

type step func(ctx context.Context, a *Attributes) error

// plugin is a row of the table: what it looks at, and its two halves (either may be nil).
type plugin struct {
	name string
	// on lists operations and resources: "CREATE,UPDATE pods pods/resize ingresses.networking.k8s.io".
	// The resource * is every resource without a subresource, */* every subresource.
	on       []string
	admit    step
	validate step
}

// steps are what runs for one resource and operation.
type steps struct{ admit, validate []step }

type place struct {
	schema.GroupResource
	sub string
}

// Chain is the table, looked up by resource, subresource and operation.
type Chain struct {
	named map[place]map[Operation]*steps
	// other is for resources that no row names: without and with a subresource.
	other [2]map[Operation]*steps
}

func newChain(plugins []plugin) *Chain {
	c := &Chain{named: map[place]map[Operation]*steps{}}
	places := map[place]bool{}
	for _, p := range plugins {
		for _, line := range p.on {
			for _, r := range strings.Fields(line)[1:] {
				if !strings.HasPrefix(r, "*") {
					places[placeOf(r)] = true
				}
			}
		}
	}
	for at := range places {
		c.named[at] = compile(plugins, at)
	}
	c.other = [2]map[Operation]*steps{compile(plugins, placeOf("*")), compile(plugins, placeOf("*/*"))}
	return c
}

// placeOf reads "RESOURCE.GROUP/SUBRESOURCE".
func placeOf(s string) place {
	r, sub, _ := strings.Cut(s, "/")
	return place{schema.ParseGroupResource(r), sub}
}

func compile(plugins []plugin, at place) map[Operation]*steps {
	out := map[Operation]*steps{Create: {}, Update: {}, Delete: {}}
	wild := "*"
	if at.sub != "" {
		wild = "*/*"
	}
	for _, p := range plugins {
		for op, s := range out {
			if !p.concerns(op, at, wild) {
				continue
			}
			if p.admit != nil {
				s.admit = append(s.admit, p.admit)
			}
			if p.validate != nil {
				s.validate = append(s.validate, p.validate)
			}
		}
	}
	return out
}

func (p *plugin) concerns(op Operation, at place, wild string) bool {
	for _, line := range p.on {
		f := strings.Fields(line)
		if !slices.Contains(strings.Split(f[0], ","), string(op)) {
			continue
		}
		for _, r := range f[1:] {
			if r == wild || placeOf(r) == at {
				return true
			}
		}
	}
	return false
}

func (c *Chain) find(a *Attributes) *steps {
	ops := c.named[place{a.Resource.GroupResource(), a.Subresource}]
	if ops == nil {
		ops = c.other[0]
		if a.Subresource != "" {
			ops = c.other[1]
		}
	}
	if s := ops[a.Operation]; s != nil {
		return s
	}
	return &none
}

var none steps

// Admit runs what may change the object.
func (c *Chain) Admit(ctx context.Context, a *Attributes) error { return run(ctx, c.find(a).admit, a) }

// Validate runs what judges the final object.
func (c *Chain) Validate(ctx context.Context, a *Attributes) error {
	return run(ctx, c.find(a).validate, a)
}

func run(ctx context.Context, steps []step, a *Attributes) error {
	for _, f := range steps {
		if err := f(ctx, a); err != nil {
			return err
		}
	}
	return nil
}
