package api

import (
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Object is what every stored kind is. Objects that come from the server, a list
// or a watch are shared: copy before you change one.
type Object interface {
	runtime.Object
	metav1.Object
}

// Resource is a row as the server and clients see it.
type Resource struct {
	GVK        schema.GroupVersionKind
	GVR        schema.GroupVersionResource
	Deprecated string
	Singular   string
	Short      []string
	Categories []string
	Namespaced bool
	Storage    string
	Type       reflect.Type // the struct; nil for custom kinds
	Verbs      []string
	Virtual    bool
	Lazy       bool

	RequireVersion bool
	CreateOnUpdate bool
	Orphans        bool

	New     func() Object
	NewList func() runtime.Object

	Default        func(Object)
	Prepare        func(Object)
	PrepareUpdate  func(next, old Object)
	Name           func(name string, prefix bool) []string
	Validate       func(Object) field.ErrorList
	ValidateUpdate func(next, old Object) field.ErrorList
	Warn           func(next, old Object) []string
	SpecChanged    func(next, old Object) bool // nil: no generation
	Graceful       func(Object) int64

	Status       *ResourceStatus
	Scale        *ResourceScale
	Subresources []Subresource
	Versions     []*Version

	Columns []ResourceColumn
	// RowConditions are what a printed row says about its object as a whole; nil: nothing.
	RowConditions func(Object) []metav1.TableRowCondition
	Fields        map[string]func(Object) string
	Indexes       map[string]func(Object) []string

	// Custom is what there is to know of a kind that a definition made; nil for built-in kinds.
	Custom *Custom
}

// Custom belongs to a kind whose objects have no Go type (they are unstructured). Each
// served version has a row of its own; all of them show the same stored objects.
type Custom struct {
	Definition string               // the name of the CustomResourceDefinition
	UID        types.UID            // of the CustomResourceDefinition
	Main       *Resource            // the row of the version that is stored
	Versions   map[string]*Resource // the rows of all versions
	Stored     bool                 // this is the stored one
	Served     bool                 // clients can ask for this version
	// Read brings what a client sent into shape: metadata, defaults, and without what the
	// schema does not know, which it returns.
	Read func(Object) (unknown []string, err error)
	// Take does the same to what comes from the store, where nothing is wrong with it.
	Take func(Object) error
	// Prune takes out what the schema does not know, after a conversion.
	Prune func(Object) error
	// Convert is an object in another version of the kind. The object may be used up.
	Convert func(o Object, version string) (Object, error)
	// ConvertAll is Convert for objects that are all of one version, for the price of one; nil: one costs nothing.
	ConvertAll func(o []Object, version string) ([]Object, error)
	// Remote conversions ask somebody outside, and take their time.
	Remote bool
	// Loose kinds keep what the schema does not know (preserveUnknownFields of old definitions).
	Loose bool
	// Schema is what documents tell of the kind, as OpenAPI v3 in JSON; nil: nothing is known.
	Schema func() []byte
}

// Main is the row under which the objects of the kind are known to those whom versions do not matter.
func (r *Resource) Main() *Resource {
	if r.Custom != nil {
		return r.Custom.Main
	}
	return r
}

// ResourceStatus is the status subresource of a row.
type ResourceStatus struct {
	// Over is old with the status of next, and shares all else with old: what is told of
	// metadata after that replaces fields, and changes nothing below them.
	Over  func(old, next Object) Object
	Carry func(dst, src Object)
	// Only says that an update of the status leaves all metadata alone.
	Only     bool
	Validate func(next, old Object) field.ErrorList
	Prepare  func(next, old Object)
	Warn     func(next, old Object) []string
}

// ResourceScale is the scale subresource of a row.
type ResourceScale struct {
	Replicas    func(Object) int32
	SetReplicas func(Object, int32)
	Observed    func(Object) int32
	Selector    func(Object) string
	// Check is why the scale of an object cannot be shown, and Unset why it cannot be left at nothing; nil: every object has one.
	Check, Unset func(Object) error
}

// AllVerbs are the verbs of a stored kind, as discovery lists them.
var AllVerbs = []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}

// IndexOwner is the index that every kind has: the UID of the controlling owner.
const IndexOwner = "owner"

// fill sets what follows from the rest, and what every kind has.
func (r *Resource) fill() {
	if r.Singular == "" {
		r.Singular = strings.ToLower(r.GVK.Kind)
	}
	if r.Storage == "" {
		r.Storage = r.GVR.Resource
	}
	if r.Verbs == nil {
		r.Verbs = AllVerbs
	}
	if r.Name == nil {
		r.Name = NameIsDNSSubdomain
	}
	r.Fields = map[string]func(Object) string{
		"metadata.name": func(o Object) string { return o.GetName() },
	}
	if r.Namespaced {
		r.Fields["metadata.namespace"] = func(o Object) string { return o.GetNamespace() }
	}
	r.Indexes = map[string]func(Object) []string{IndexOwner: func(o Object) []string {
		if c := metav1.GetControllerOfNoCopy(o); c != nil {
			return []string{string(c.UID)}
		}
		return nil
	}}
}

// Key is where an object is stored: the key that kube-apiserver uses.
func (r *Resource) Key(namespace, name string) string {
	if r.Namespaced {
		return "/registry/" + r.Storage + "/" + namespace + "/" + name
	}
	return "/registry/" + r.Storage + "/" + name
}

// Prefix is what the keys of a namespace (empty: all) start with.
func (r *Resource) Prefix(namespace string) string {
	if r.Namespaced && namespace != "" {
		return "/registry/" + r.Storage + "/" + namespace + "/"
	}
	return "/registry/" + r.Storage + "/"
}

// GroupResource names the resource without its version, as errors print it.
func (r *Resource) GroupResource() schema.GroupResource { return r.GVR.GroupResource() }
