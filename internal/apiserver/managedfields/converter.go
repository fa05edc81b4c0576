package managedfields

import (
	"fmt"
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	gvkschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/schema"
)

// converter is what the library asks for: types, versions, defaults, new objects. Objects
// of all versions but the stored one have the Go types of theirs, or are unstructured.
type converter struct {
	kind   Kind
	parse  typed.ParseableType
	others sync.Map // *api.Version → *typed.ParseableType
}

// version is that of an object; nil when it is the stored one.
func (c *converter) version(o runtime.Object) *api.Version {
	if len(c.kind.Versions) == 0 {
		return nil
	}
	if u, ok := o.(*unstructured.Unstructured); ok {
		return versionOf(c.kind.Versions, u.GetAPIVersion())
	}
	typ := reflect.TypeOf(o).Elem()
	for _, v := range c.kind.Versions {
		if v.Type == typ {
			return v
		}
	}
	return nil
}

func (c *converter) parseable(v *api.Version) *typed.ParseableType {
	if v == nil {
		return &c.parse
	}
	if have, ok := c.others.Load(v); ok {
		return have.(*typed.ParseableType)
	}
	p := schema.Parseable(v.Type)
	have, _ := c.others.LoadOrStore(v, &p)
	return have.(*typed.ParseableType)
}

func (c *converter) ObjectToTyped(o runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	parse := c.parseable(c.version(o))
	if u, ok := o.(*unstructured.Unstructured); ok {
		return parse.FromUnstructured(u.UnstructuredContent(), opts...)
	}
	return parse.FromStructured(o, opts...)
}

func (c *converter) TypedToObject(v *typed.TypedValue) (runtime.Object, error) {
	m, ok := v.AsValue().Unstructured().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", c.kind.GVK.Kind)
	}
	return c.typedObject(m)
}

// typedObject is an object in the version that it says it is of.
func (c *converter) typedObject(m map[string]any) (runtime.Object, error) {
	o, gvk := c.kind.New(), c.kind.GVK
	if u, ok := o.(*unstructured.Unstructured); ok {
		u.Object = m
		return u, nil
	}
	if v := c.version(&unstructured.Unstructured{Object: m}); v != nil {
		o, gvk = v.New(), v.GVK
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m, o); err != nil {
		return nil, err
	}
	o.GetObjectKind().SetGroupVersionKind(gvk)
	return o, nil
}

// ConvertToVersion goes by way of the stored version.
func (c *converter) ConvertToVersion(in runtime.Object, to runtime.GroupVersioner) (runtime.Object, error) {
	var err error
	if u, ok := in.(*unstructured.Unstructured); ok && reflect.TypeOf(c.kind.New()) != reflect.TypeOf(u) {
		if in, err = c.typedObject(u.Object); err != nil {
			return nil, err
		}
	}
	gv, ok := to.(gvkschema.GroupVersion)
	if !ok || len(c.kind.Versions) == 0 {
		return in, nil
	}
	from, into := c.version(in), versionOf(c.kind.Versions, gv.String())
	// compat: the library takes the stored version to be in every group that has the kind.
	if into == nil && gv.Version != c.kind.GVK.Version {
		return nil, runtime.NewNotRegisteredErrForKind("", gv.WithKind(c.kind.GVK.Kind))
	}
	if from == into {
		return in, nil
	}
	o := in.(api.Object)
	if from != nil {
		if o, err = from.Convert(o); err != nil {
			return nil, err
		}
	}
	if into != nil {
		return into.Show(o)
	}
	return o, nil
}

func (c *converter) Convert(in, out, _ any) error {
	return fmt.Errorf("no conversion from %T to %T", in, out)
}

func (c *converter) ConvertFieldLabel(_ gvkschema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}

// Default fills in what the version of an object does.
func (c *converter) Default(o runtime.Object) {
	if v := c.version(o); v != nil {
		v.Default(o.(api.Object))
	} else if c.kind.Default != nil {
		c.kind.Default(o)
	}
}

// New is an empty object of the stored version, whatever the configuration is in.
func (c *converter) New(gvkschema.GroupVersionKind) (runtime.Object, error) {
	o := c.kind.New()
	o.GetObjectKind().SetGroupVersionKind(c.kind.GVK)
	return o, nil
}

var _ managedfields.TypeConverter = (*converter)(nil)
