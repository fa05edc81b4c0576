// Package api is the resource table: one row per kind, and what rows are made of.
//
// A built-in kind is one file in the folder of its API group (core, apps, …): a
// Kind literal with its defaults, validation, preparation and printed columns.
// Everything that is nil means the generic behaviour. Package all lists the rows
// in order; REST paths, discovery, storage keys, tables and RBAC names derive
// from them. The Go type stored is the Go type served (k8s.io/api).
//
// The server sees a row as a Resource, in which the type parameter is erased.
// Read kind.go, then resource.go, then core/configmap.go as the smallest example.
package api

import (
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// Kind is a row of the table, typed. T is the Go struct, for example corev1.Pod.
type Kind[T any] struct {
	Version    schema.GroupVersion
	Resource   string // plural, lower case: "pods"
	Singular   string // lower-case kind when empty
	Short      []string
	Categories []string
	Namespaced bool
	// Storage is the part of the key after /registry/ that upstream uses; empty
	// means Resource.
	Storage string

	// List is an empty list, for example &corev1.PodList{}.
	List runtime.Object

	// Default fills in what the client left out. It runs on every decoded object,
	// before admission and again on objects read from the store; twice changes nothing.
	Default func(*T)
	// Prepare resets what a client may not set at creation (Status is reset without it).
	Prepare func(*T)
	// PrepareUpdate carries over what a client may not change in an update of the main
	// resource (Status is carried over without it).
	PrepareUpdate func(next, old *T)
	// Name checks metadata.name beyond what every name must satisfy; nil is a DNS
	// subdomain. See NameIs….
	Name func(name string, prefix bool) []string
	// Validate returns everything that is wrong with a new object.
	Validate func(*T) field.ErrorList
	// ValidateUpdate returns everything that is wrong with the change. Validate is
	// not called by the server on updates: the row does if it wants it.
	ValidateUpdate func(next, old *T) field.ErrorList
	// Versions are the other versions in which the kind is served: As[T, V] values.
	Versions Versions
	// Deprecated is what every request about the kind is warned with; empty: nothing.
	Deprecated string
	// Warn returns texts for Warning headers; old is nil at creation.
	Warn func(next, old *T) []string

	// Spec points at what the generation counts: it goes up when that part changes.
	// nil: the kind has no generation.
	Spec func(*T) any
	// Status describes the status subresource; see StatusOf. nil: there is none.
	Status *Status[T]
	// Scale maps the scale subresource; nil: there is none.
	Scale *Scale[T]
	// Subresources are the further ones, for discovery (status and scale follow from above).
	Subresources []Subresource

	// Columns are what kubectl get prints; nil means Name and Age.
	Columns Columns[T]
	// RowConditions are what a printed row says about its object as a whole; nil means nothing.
	RowConditions func(*T) []metav1.TableRowCondition
	// Fields are the field selectors besides metadata.name and metadata.namespace.
	Fields map[string]func(*T) string
	// Indexes are in-memory indexes that readers in this process may look up.
	// Every kind has "owner": the UID of the controlling owner.
	Indexes map[string]func(*T) []string

	// Verbs limits what can be done; nil means all. Virtual kinds have {"create"}.
	Verbs []string
	// Virtual kinds are answered and never stored.
	Virtual bool
	// Lazy writes are acknowledged before they are on disk: leases and events only.
	Lazy bool
	// Graceful says how long deletion of this object waits when the client names no
	// period; nil means that it is deleted at once. Only pods have it.
	Graceful func(*T) int64
	// UnconditionalUpdate refuses updates without a resourceVersion when false and
	// RequireVersion is true.
	RequireVersion bool
	// Orphans leaves an object's dependents alone when it is deleted without a word about them.
	Orphans bool
	// LooseFinalizers accepts finalizers without a domain.
	LooseFinalizers bool
	// CreateOnUpdate lets PUT create an object that is not there.
	CreateOnUpdate bool
}

// Status is the status subresource of a kind.
type Status[T any] struct {
	carry    func(dst, src *T)
	reset    func(*T)
	kept     bool
	only     bool
	Validate func(next, old *T) field.ErrorList
	// Prepare runs on a status update after spec and metadata were carried over.
	Prepare func(next, old *T)
	// Warn is what is told to who writes a status; nil: nothing. What there is to say of the rest was told before.
	Warn func(next, old *T) []string
}

// StatusOf describes a status subresource by where the status is.
func StatusOf[T, S any](at func(*T) *S) *Status[T] {
	return &Status[T]{
		carry: func(dst, src *T) { *at(dst) = *at(src) },
		reset: func(o *T) { var zero S; *at(o) = zero },
	}
}

// KeptAtCreation returns the status of a kind whose creator says what it is (nodes).
func (s *Status[T]) KeptAtCreation() *Status[T] {
	c := *s
	c.kept = true
	return &c
}

// Only returns the status of a kind whose subresource leaves labels, annotations and
// finalizers alone.
func (s *Status[T]) Only() *Status[T] {
	c := *s
	c.only = true
	return &c
}

// WithPrepare returns the status with a hand on its updates.
func (s *Status[T]) WithPrepare(f func(next, old *T)) *Status[T] {
	c := *s
	c.Prepare = f
	return &c
}

// WithValidate returns the status with a check of its updates.
func (s *Status[T]) WithValidate(f func(next, old *T) field.ErrorList) *Status[T] {
	c := *s
	c.Validate = f
	return &c
}

// WithWarn returns the status with words for who writes it.
func (s *Status[T]) WithWarn(f func(next, old *T) []string) *Status[T] {
	c := *s
	c.Warn = f
	return &c
}

// Scale maps a kind to its scale subresource.
type Scale[T any] struct {
	Replicas    func(*T) int32
	SetReplicas func(*T, int32)
	Observed    func(*T) int32
	Selector    func(*T) string // the pods' selector as a string
}

// Subresource is a further subresource as discovery lists it.
type Subresource struct {
	Name  string // "exec"
	Kind  schema.GroupVersionKind
	Verbs []string
	// Validate checks what a write of a part of the object changes (resize,
	// ephemeralcontainers, finalize, approval); nil: nothing but the metadata is checked.
	// It is the last to see next before it is stored, and may date what has no date.
	Validate func(next, old Object) field.ErrorList
}

// Row erases the type parameter. What is found wrong with objects is bounded from here on (meta.Bound).
func (k *Kind[T]) Row() *Resource {
	typ := reflect.TypeFor[T]()
	kind := typ.Name()
	cast := func(o Object) *T { return any(o).(*T) }
	r := &Resource{
		GVK: k.Version.WithKind(kind), GVR: k.Version.WithResource(k.Resource),
		Deprecated: k.Deprecated, Singular: k.Singular, Short: k.Short, Categories: k.Categories, Namespaced: k.Namespaced,
		Storage: k.Storage, Verbs: k.Verbs, Virtual: k.Virtual, Lazy: k.Lazy,
		Orphans: k.Orphans, RequireVersion: k.RequireVersion, CreateOnUpdate: k.CreateOnUpdate,
		Subresources: slices.Clone(k.Subresources), Type: typ,
		New:  func() Object { return any(new(T)).(Object) },
		Name: k.Name,
	}
	r.fill()
	if k.List != nil {
		list := reflect.TypeOf(k.List).Elem()
		r.NewList = func() runtime.Object { return reflect.New(list).Interface().(runtime.Object) }
	}
	if k.Default != nil {
		r.Default = func(o Object) { k.Default(cast(o)) }
	}
	r.Prepare = func(o Object) {
		if k.Status != nil && !k.Status.kept {
			k.Status.reset(cast(o))
		}
		if k.Prepare != nil {
			k.Prepare(cast(o))
		}
	}
	r.PrepareUpdate = func(next, old Object) {
		if k.Status != nil {
			k.Status.carry(cast(next), cast(old))
		}
		if k.PrepareUpdate != nil {
			k.PrepareUpdate(cast(next), cast(old))
		}
	}
	k.eraseValidate(r, cast)
	if k.ValidateUpdate != nil {
		r.ValidateUpdate = func(next, old Object) field.ErrorList {
			return meta.Bound(append(k.finalizers(next), k.ValidateUpdate(cast(next), cast(old))...))
		}
	}
	if k.Warn != nil {
		r.Warn = func(next, old Object) []string {
			if old == nil {
				return k.Warn(cast(next), nil)
			}
			return k.Warn(cast(next), cast(old))
		}
	}
	if k.Spec != nil {
		r.SpecChanged = func(next, old Object) bool {
			return !meta.Equal(k.Spec(cast(next)), k.Spec(cast(old)))
		}
	}
	if k.Graceful != nil {
		r.Graceful = func(o Object) int64 { return k.Graceful(cast(o)) }
	}
	k.eraseStatus(r, cast)
	k.eraseScale(r, cast)
	k.eraseReads(r, cast)
	for i := range r.Subresources {
		if check := r.Subresources[i].Validate; check != nil {
			r.Subresources[i].Validate = func(next, old Object) field.ErrorList { return meta.Bound(check(next, old)) }
		}
	}
	for _, v := range k.Versions {
		r.Versions = append(r.Versions, v.ofRow(r))
	}
	return r
}

// eraseValidate adds what must hold of all kinds' metadata beyond what the server checks.
func (k *Kind[T]) eraseValidate(r *Resource, cast func(Object) *T) {
	if k.Validate == nil && (k.Virtual || k.LooseFinalizers) {
		return
	}
	r.Validate = func(o Object) field.ErrorList {
		errs := k.finalizers(o)
		if k.Validate != nil {
			errs = append(errs, k.Validate(cast(o))...)
		}
		return meta.Bound(errs)
	}
}

// finalizers refuses those without a domain, where the kind does.
func (k *Kind[T]) finalizers(o Object) (errs field.ErrorList) {
	if k.Virtual || k.LooseFinalizers {
		return nil
	}
	for i, f := range o.GetFinalizers() {
		errs = append(errs, meta.Finalizer(f, field.NewPath("metadata", "finalizers").Index(i))...)
	}
	return errs
}

func (k *Kind[T]) eraseStatus(r *Resource, cast func(Object) *T) {
	s := k.Status
	if s == nil {
		return
	}
	r.Status = &ResourceStatus{
		Only:  s.only,
		Carry: func(dst, src Object) { s.carry(cast(dst), cast(src)) },
		Over: func(old, next Object) Object {
			c := *cast(old)
			s.carry(&c, cast(next))
			return any(&c).(Object)
		},
	}
	if s.Validate != nil {
		r.Status.Validate = func(next, old Object) field.ErrorList { return meta.Bound(s.Validate(cast(next), cast(old))) }
	}
	if s.Warn != nil {
		r.Status.Warn = func(next, old Object) []string { return s.Warn(cast(next), cast(old)) }
	}
	if s.Prepare != nil {
		r.Status.Prepare = func(next, old Object) { s.Prepare(cast(next), cast(old)) }
	}
}

func (k *Kind[T]) eraseScale(r *Resource, cast func(Object) *T) {
	s := k.Scale
	if s == nil {
		return
	}
	r.Scale = &ResourceScale{
		Replicas:    func(o Object) int32 { return s.Replicas(cast(o)) },
		SetReplicas: func(o Object, n int32) { s.SetReplicas(cast(o), n) },
		Observed:    func(o Object) int32 { return s.Observed(cast(o)) },
		Selector:    func(o Object) string { return s.Selector(cast(o)) },
	}
}

func (k *Kind[T]) eraseReads(r *Resource, cast func(Object) *T) {
	for _, c := range k.Columns {
		col := ResourceColumn{ColumnHead: c.ColumnHead}
		if c.Cell != nil {
			cell := c.Cell
			col.Cell = func(o Object) any { return cell(cast(o)) }
		} else {
			col.Cell = metaCell(c.Name)
		}
		r.Columns = append(r.Columns, col)
	}
	if k.RowConditions != nil {
		r.RowConditions = func(o Object) []metav1.TableRowCondition { return k.RowConditions(cast(o)) }
	}
	if len(k.Fields) == 0 {
		// compat: without namespaces too, where there are no fields of the kind's own.
		r.Fields["metadata.namespace"] = func(o Object) string { return o.GetNamespace() }
	}
	for name, f := range k.Fields {
		r.Fields[name] = func(o Object) string { return f(cast(o)) }
	}
	for name, f := range k.Indexes {
		r.Indexes[name] = func(o Object) []string { return f(cast(o)) }
	}
}
