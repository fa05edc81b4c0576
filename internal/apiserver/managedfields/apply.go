package managedfields

import (
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	gvkschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/schema"
)

// Kind is what Apply must know of the kind it works on.
type Kind struct {
	GVK gvkschema.GroupVersionKind // of the objects
	// Version is what configurations are in; nil: what the objects are in. Versions are all but the objects'.
	Version  *api.Version
	Versions []*api.Version
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
	speaks := k.GVK
	if k.Version != nil {
		speaks = k.Version.GVK
	}
	key := applierKey{speaks, k.ID, sub}
	if have, ok := a.have.Load(key); ok {
		return have.(*applier), nil
	}
	c := &converter{kind: k}
	if k.Type != nil {
		c.parse = *k.Type
	} else {
		c.parse = schema.Parseable(reflect.TypeOf(k.New()))
	}
	ignored := fieldpath.NewSet()
	for _, f := range k.Ignored {
		ignored.Insert(fieldpath.MakePathOrDie(f))
	}
	filter := fieldpath.NewExcludeSetFilter(ignored)
	reset := map[fieldpath.APIVersion]fieldpath.Filter{fieldpath.APIVersion(k.GVK.GroupVersion().String()): filter}
	for _, v := range k.Versions {
		reset[fieldpath.APIVersion(v.GVK.GroupVersion().String())] = filter
	}
	m, err := managedfields.NewDefaultFieldManager(c, c, c, c, speaks, k.GVK.GroupVersion(), sub, reset)
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
	live.GetObjectKind().SetGroupVersionKind(k.GVK)
	if o, ok := live.(Object); ok {
		o.SetManagedFields(w.known(o.GetManagedFields()))
	}
	out, err := ap.fields.Apply(live, config, w.manager(), force)
	if err == nil && k.Version != nil && k.Default != nil {
		k.Default(out) // the library has filled in the defaults of the version
	}
	return out, err
}
