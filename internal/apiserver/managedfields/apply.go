package managedfields

import (
	"fmt"
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	gvkschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/skiff-k8s/skiff/internal/api/schema"
)

// Kind is what Apply must know of the kind it works on.
type Kind struct {
	GVK gvkschema.GroupVersionKind
	// Type is what the fields of a kind without a Go type are, and ID tells states of such a kind apart.
	Type    *typed.ParseableType
	ID      any
	New     func() runtime.Object
	Default func(runtime.Object)
	// Ignored are the top-level fields that this (sub)resource may not set.
	Ignored []string
}

// applier does server-side apply for one kind and subresource.
type applier struct{ fields *managedfields.FieldManager }

type applierKey struct {
	gvk gvkschema.GroupVersionKind
	id  any
	sub string
}

// Appliers make and keep what Apply needs for each kind, when it is first needed.
type Appliers struct{ have sync.Map }

func (a *Appliers) of(k Kind, sub string) (*applier, error) {
	key := applierKey{k.GVK, k.ID, sub}
	if have, ok := a.have.Load(key); ok {
		return have.(*applier), nil
	}
	c := &converter{kind: k}
	if k.Type != nil {
		c.parse = *k.Type
	} else {
		c.parse = schema.Parseable(reflect.TypeOf(k.New()))
	}
	gv := k.GVK.GroupVersion()
	ignored := fieldpath.NewSet()
	for _, f := range k.Ignored {
		ignored.Insert(fieldpath.MakePathOrDie(f))
	}
	reset := map[fieldpath.APIVersion]fieldpath.Filter{fieldpath.APIVersion(gv.String()): fieldpath.NewExcludeSetFilter(ignored)}
	m, err := managedfields.NewDefaultFieldManager(c, c, c, c, k.GVK, gv, sub, reset)
	if err != nil {
		return nil, err
	}
	have, _ := a.have.LoadOrStore(key, &applier{m})
	return have.(*applier), nil
}

// Forget drops what is kept for a kind that is another one now.
func (a *Appliers) Forget(id any) {
	a.have.Range(func(k, _ any) bool {
		if k.(applierKey).id == id {
			a.have.Delete(k)
		}
		return true
	})
}

// Apply merges an applied configuration into live (which is not changed; a new
// object of the kind when there is none yet) and returns the result with its
// managedFields. Conflicts come back as the API's error.
func (a *Appliers) Apply(live runtime.Object, config *unstructured.Unstructured, k Kind, w Write, force bool) (runtime.Object, error) {
	ap, err := a.of(k, w.Subresource)
	if err != nil {
		return nil, err
	}
	live = live.DeepCopyObject()
	if o, ok := live.(Object); ok {
		o.SetManagedFields(w.known(o.GetManagedFields()))
	}
	return ap.fields.Apply(live, config, w.manager(), force)
}

// converter is what the library asks for: types, versions (there is one), defaults, new objects.
type converter struct {
	kind  Kind
	parse typed.ParseableType
}

func (c *converter) ObjectToTyped(o runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	if u, ok := o.(*unstructured.Unstructured); ok {
		return c.parse.FromUnstructured(u.UnstructuredContent(), opts...)
	}
	return c.parse.FromStructured(o, opts...)
}

func (c *converter) TypedToObject(v *typed.TypedValue) (runtime.Object, error) {
	m, ok := v.AsValue().Unstructured().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", c.kind.GVK.Kind)
	}
	return c.typedObject(m)
}

func (c *converter) typedObject(m map[string]any) (runtime.Object, error) {
	o := c.kind.New()
	if u, ok := o.(*unstructured.Unstructured); ok {
		u.Object = m
		return u, nil
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m, o); err != nil {
		return nil, err
	}
	o.GetObjectKind().SetGroupVersionKind(c.kind.GVK)
	return o, nil
}

func (c *converter) ConvertToVersion(in runtime.Object, _ runtime.GroupVersioner) (runtime.Object, error) {
	if u, ok := in.(*unstructured.Unstructured); ok && reflect.TypeOf(c.kind.New()) != reflect.TypeOf(u) {
		return c.typedObject(u.Object)
	}
	return in, nil
}

func (c *converter) Convert(in, out, _ any) error {
	return fmt.Errorf("no conversion from %T to %T", in, out)
}

func (c *converter) ConvertFieldLabel(_ gvkschema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}

func (c *converter) Default(o runtime.Object) {
	if c.kind.Default != nil {
		c.kind.Default(o)
	}
}

func (c *converter) New(gvkschema.GroupVersionKind) (runtime.Object, error) {
	o := c.kind.New()
	o.GetObjectKind().SetGroupVersionKind(c.kind.GVK)
	return o, nil
}

var _ managedfields.TypeConverter = (*converter)(nil)
