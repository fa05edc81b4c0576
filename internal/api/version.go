package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

// Version is another version of a kind, served beside the one that is stored. The
// storage, the caches and admission know the stored form only: what comes in is
// defaulted by the version's own rules and converted, what goes out is converted back.
type Version struct {
	Resource *Resource // the row that it is a version of
	GVK      schema.GroupVersionKind
	GVR      schema.GroupVersionResource
	Type     reflect.Type
	NewList  func() runtime.Object // nil for kinds that are not stored
	// Deprecated is what every request is warned with; empty: the version is not deprecated.
	Deprecated string
	// Current versions are served whether old ones are wanted or not.
	Current bool
	// Convert carries an object of this version over to the stored form.
	Convert func(Object) (Object, error)
	// Show is an object in this version.
	Show func(Object) (Object, error)
	// Validate returns what this version demands beyond the kind's own rules; nil: nothing.
	Validate       func(Object) field.ErrorList
	ValidateUpdate func(next, old Object) field.ErrorList
	// Forgives tells what the kind's rules find wrong and this version does not; nil: nothing.
	Forgives func(*field.Error) bool
	// Orphans leaves the dependents of an object alone when it is deleted without a word about them.
	Orphans bool
	// Fields are the field selectors of this version, with their names in the stored one; nil: they are the same.
	Fields map[string]string
	// Scale is the form of the scale subresource; nil is autoscaling/v1.
	Scale *ScaleForm
	// Subresources are those that the stored version has not.
	Subresources []Subresource
	// defaults is a func(*V), invalid where there are none.
	defaults reflect.Value
}

// New is an empty object of this version.
func (v *Version) New() Object { return reflect.New(v.Type).Interface().(Object) }

// Default fills in what the client left out, by the rules of this version.
func (v *Version) Default(o Object) {
	if v.defaults.IsValid() {
		v.defaults.Call([]reflect.Value{reflect.ValueOf(o)})
	}
}

// Read carries an object over to the stored form after the version's defaults.
func (v *Version) Read(o Object) (Object, error) {
	v.Default(o)
	return v.Convert(o)
}

// As describes a version of T whose Go type is V. Without conversions, the two
// have the same fields: what one says in JSON, the other understands.
type As[T, V any] struct {
	Version schema.GroupVersion
	List    runtime.Object
	// Default fills in what the client left out, by the rules of this version. The
	// defaults of the kind follow after the conversion.
	Default func(*V)
	Read    func(*V, *T) error
	Show    func(*T, *V) error
	// AfterRead and AfterShow carry over what the generic conversion cannot know.
	AfterRead func(*V, *T)
	AfterShow func(*T, *V)
	Validate  func(*T) field.ErrorList
	// ValidateUpdate is Validate for updates of the main resource.
	ValidateUpdate func(next, old *T) field.ErrorList
	Forgives       func(*field.Error) bool
	Orphans        bool
	Fields         map[string]string
	Scale          *ScaleForm
	Subresources   []Subresource
}

// Versions are As values of one T.
type Versions []interface{ ofRow(*Resource) *Version }

// ofRow erases the type parameters. Every closure in it is in the program once for each
// version of each kind, with a name as long as both types: what can do without is a method of Version.
func (a As[T, V]) ofRow(r *Resource) *Version {
	v := &Version{Resource: r, GVK: a.Version.WithKind(r.GVK.Kind), GVR: a.Version.WithResource(r.GVR.Resource), Type: reflect.TypeFor[V]()}
	if a.List != nil {
		list := reflect.TypeOf(a.List).Elem()
		v.NewList = func() runtime.Object { return reflect.New(list).Interface().(runtime.Object) }
	}
	v.Deprecated = deprecation(v.GVK, any(new(V)))
	v.Current = v.Deprecated == ""
	if a.Default != nil {
		v.defaults = reflect.ValueOf(a.Default)
	}
	v.Convert = func(o Object) (Object, error) {
		from, to := any(o).(*V), new(T)
		var err error
		if a.Read != nil {
			err = a.Read(from, to)
		} else {
			err = Recode(from, to)
		}
		if a.AfterRead != nil {
			a.AfterRead(from, to)
		}
		out := any(to).(Object)
		out.GetObjectKind().SetGroupVersionKind(r.GVK)
		return out, err
	}
	v.Show = func(o Object) (Object, error) {
		from, to := any(o).(*T), new(V)
		var err error
		if a.Show != nil {
			err = a.Show(from, to)
		} else {
			err = Recode(from, to)
		}
		if a.AfterShow != nil {
			a.AfterShow(from, to)
		}
		out := any(to).(Object)
		out.GetObjectKind().SetGroupVersionKind(v.GVK)
		return out, err
	}
	if a.Validate != nil {
		v.Validate = func(o Object) field.ErrorList { return a.Validate(any(o).(*T)) }
	}
	if a.ValidateUpdate != nil {
		v.ValidateUpdate = func(next, old Object) field.ErrorList { return a.ValidateUpdate(any(next).(*T), any(old).(*T)) }
	}
	v.Forgives, v.Orphans, v.Fields, v.Scale, v.Subresources = a.Forgives, a.Orphans, a.Fields, a.Scale, a.Subresources
	return v
}

// Judge adds to what the kind's rules found wrong with an object, new when old is nil, what
// this version demands, and takes away what it does not mind. There may be no version.
func (v *Version) Judge(errs field.ErrorList, next, old Object) field.ErrorList {
	switch {
	case v == nil:
		return errs
	case old == nil && v.Validate != nil:
		errs = append(errs, v.Validate(next)...)
	case old != nil && v.ValidateUpdate != nil:
		errs = append(errs, v.ValidateUpdate(next, old)...)
	}
	if v.Forgives != nil {
		errs = slices.DeleteFunc(errs, v.Forgives)
	}
	return errs
}

// ScaleForm is an older form of the scale subresource.
type ScaleForm struct {
	Kind schema.GroupVersionKind
	New  func() runtime.Object
	Read func(runtime.Object) *autoscalingv1.Scale
	Show func(*autoscalingv1.Scale) runtime.Object
}

// deprecation is what the type says of its own end, in the words of Kubernetes.
func deprecation(gvk schema.GroupVersionKind, o any) string {
	d, ok := o.(interface{ APILifecycleDeprecated() (major, minor int) })
	if !ok {
		return ""
	}
	major, minor := d.APILifecycleDeprecated()
	text := fmt.Sprintf("%s %s is deprecated in v%d.%d+", gvk.GroupVersion(), gvk.Kind, major, minor)
	if d, ok := o.(interface{ APILifecycleRemoved() (major, minor int) }); ok {
		major, minor := d.APILifecycleRemoved()
		text += fmt.Sprintf(", unavailable in v%d.%d+", major, minor)
	}
	if d, ok := o.(interface {
		APILifecycleReplacement() schema.GroupVersionKind
	}); ok {
		to := d.APILifecycleReplacement()
		text += fmt.Sprintf("; use %s %s", to.GroupVersion(), to.Kind)
	}
	return text
}

// Recode carries an object over to a type that says the same in JSON.
func Recode(from, to any) error {
	b, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return kjson.UnmarshalCaseSensitivePreserveInts(b, to)
}
