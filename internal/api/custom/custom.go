// Package custom makes the kinds that CustomResourceDefinitions define: what the server
// has as a row of its table for a built-in kind, it gets from here for a custom one.
//
// In goes a definition that is valid and has its defaults; out come the names, and per
// version how objects are read (coerced, pruned, defaulted), validated (OpenAPI, list
// types, embedded objects, CEL rules), printed, scaled and published. Objects are
// *unstructured.Unstructured. Errors, paths and texts are those of Kubernetes.
//
// Invariants:
//   - New reads names only; a version's schema is compiled at the first use of it.
//   - The definition is shared with others and never changed.
//   - What is asked of every object runs on a small tree of our own (node.go), which says
//     yes or no without words. The words for a no come from the libraries of Kubernetes,
//     on forms of the schema that are made when they are needed and given up after.
//     Where the tree says yes, so would the libraries: the fuzz test holds them together.
//   - Defaulting, pruning and reading twice changes nothing more than doing it once.
//
// Read custom.go, then version.go, node.go and validate.go.
package custom

import (
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Kind is what a definition makes.
type Kind struct {
	Row      *api.Resource       // of the stored version
	Versions map[string]*Version // those that are served, and the stored one
	rows     []*api.Resource
}

// Source is the definition once more, the very state that a kind was made from. Schemas are
// large and seldom needed: kinds do not hold on to the definition.
type Source func() *apiextensionsv1.CustomResourceDefinition

// New reads the names and versions of a definition.
func New(crd *apiextensionsv1.CustomResourceDefinition, again Source) *Kind {
	k := &Kind{Versions: map[string]*Version{}}
	for i := range crd.Spec.Versions {
		spec := &crd.Spec.Versions[i]
		if !spec.Served && !spec.Storage {
			continue
		}
		v := newVersion(crd, spec, again)
		k.Versions[spec.Name] = v
		k.rows = append(k.rows, v.Row)
		if spec.Storage {
			k.Row = v.Row
		}
	}
	for _, r := range k.rows {
		r.Custom.Main = k.Row
	}
	return k
}

// Rows are the rows of the versions, in the order of the definition.
func (k *Kind) Rows() []*api.Resource { return k.rows }

// Rows are those of New, for who wants nothing else.
func Rows(crd *apiextensionsv1.CustomResourceDefinition, again Source) []*api.Resource {
	return New(crd, again).rows
}

// row is what the server's table has of a version.
func (v *Version) row(crd *apiextensionsv1.CustomResourceDefinition) *api.Resource {
	names := acceptedNames(crd)
	list := v.GVK.GroupVersion().WithKind(names.ListKind)
	r := &api.Resource{
		GVK: v.GVK, GVR: v.GVR, Deprecated: v.Deprecated,
		Singular: names.Singular, Short: names.ShortNames, Categories: names.Categories,
		Namespaced: crd.Spec.Scope == apiextensionsv1.NamespaceScoped,
		Storage:    v.GVR.Group + "/" + v.GVR.Resource,
		Verbs:      api.AllVerbs, RequireVersion: true,
		New: func() api.Object {
			u := &unstructured.Unstructured{Object: map[string]any{}}
			u.SetGroupVersionKind(v.GVK)
			return u
		},
		NewList: func() runtime.Object {
			l := &unstructured.UnstructuredList{Object: map[string]any{}}
			l.SetGroupVersionKind(list)
			return l
		},
		Name:    api.NameIsDNSSubdomain,
		Columns: v.Columns, Fields: v.Fields, Status: v.Status, Scale: v.Scale,
		Indexes: map[string]func(api.Object) []string{api.IndexOwner: owner},
		Warn:    warnFinalizers,
	}
	r.Default = func(o api.Object) { v.Default(asCustom(o)) }
	r.Prepare = func(o api.Object) { v.prepare(asCustom(o)) }
	r.PrepareUpdate = func(next, old api.Object) { v.prepareUpdate(asCustom(next), asCustom(old)) }
	r.SpecChanged = func(next, old api.Object) bool { return v.specChanged(asCustom(next), asCustom(old)) }
	r.Validate = func(o api.Object) field.ErrorList { return v.Validate(noCancel, asCustom(o)) }
	r.ValidateUpdate = func(next, old api.Object) field.ErrorList {
		return v.ValidateUpdate(noCancel, asCustom(next), asCustom(old))
	}
	r.Custom = &api.Custom{
		Definition: crd.Name, Stored: v.Storage, Served: v.Served, Loose: crd.Spec.PreserveUnknownFields,
		Read:   func(o api.Object) ([]string, error) { return v.Read(asCustom(o), true) },
		Take:   func(o api.Object) error { return v.Stored(asCustom(o)) },
		Prune:  func(o api.Object) error { return v.Prune(asCustom(o)) },
		Schema: v.SchemaJSON,
	}
	return r
}

func asCustom(o api.Object) *unstructured.Unstructured { return o.(*unstructured.Unstructured) }

func owner(o api.Object) []string {
	if c := metav1.GetControllerOfNoCopy(o); c != nil {
		return []string{string(c.UID)}
	}
	return nil
}

// acceptedNames are the names that the definition got. Where nobody has decided yet,
// they are those that it wants.
func acceptedNames(crd *apiextensionsv1.CustomResourceDefinition) apiextensionsv1.CustomResourceDefinitionNames {
	n := crd.Status.AcceptedNames
	if n.Plural == "" || n.Kind == "" {
		n = crd.Spec.Names
	}
	if n.Singular == "" {
		n.Singular = strings.ToLower(n.Kind)
	}
	if n.ListKind == "" {
		n.ListKind = n.Kind + "List"
	}
	return n
}

func gvkOf(crd *apiextensionsv1.CustomResourceDefinition, version string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: crd.Spec.Group, Version: version, Kind: acceptedNames(crd).Kind}
}
