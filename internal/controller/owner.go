package controller

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
)

// OwnerKeys are the keys of the controlling owners, of the given kind, of an
// object as it is and as it was.
func OwnerKeys(owner *api.Resource, o, old api.Object) []Key {
	var keys []Key
	for _, x := range []api.Object{o, old} {
		if x == nil {
			continue
		}
		ref := metav1.GetControllerOfNoCopy(x)
		if ref == nil || !IsKind(ref, owner) {
			continue
		}
		k := Key{Name: ref.Name}
		if owner.Namespaced {
			k.Namespace = x.GetNamespace()
		}
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// IsKind tells whether a reference names an object of the kind, in any version of its group.
func IsKind(ref *metav1.OwnerReference, r *api.Resource) bool {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	return err == nil && gv.Group == r.GVK.Group && ref.Kind == r.GVK.Kind
}

// Family is what an owner may claim: those that name it as their controller,
// and those with the right labels that have none.
func Family[T api.Object](v View, owner api.Object, sel labels.Selector) ([]T, error) {
	owned, err := client.OwnedBy[T](v.Context, v, owner.GetUID())
	if err != nil || sel.Empty() {
		return owned, err
	}
	labelled, err := client.List[T](v.Context, v, owner.GetNamespace(), sel)
	if err != nil {
		return nil, err
	}
	for _, o := range labelled {
		if metav1.GetControllerOfNoCopy(o) == nil {
			owned = append(owned, o)
		}
	}
	return owned, nil
}

// Claim returns the members of the family that belong to the owner, and the
// writes that make it so: it adopts what has the right labels and no
// controller, and releases what has lost the labels. An owner that is being
// deleted does neither; an adopted object is the copy that the write sends.
func Claim[T api.Object](owner api.Object, sel labels.Selector, family []T) (claimed []T, do []Action) {
	going := owner.GetDeletionTimestamp() != nil
	for _, o := range family {
		ref := metav1.GetControllerOfNoCopy(o)
		match := sel.Matches(labels.Set(o.GetLabels()))
		switch {
		case ref != nil && ref.UID != owner.GetUID():
		case ref != nil && match:
			claimed = append(claimed, o)
		case ref != nil:
			if going {
				continue
			}
			c := o.DeepCopyObject().(T)
			c.SetOwnerReferences(slices.DeleteFunc(c.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID == owner.GetUID() }))
			do = append(do, Action{Update: c})
		case match && !going && o.GetDeletionTimestamp() == nil:
			c := o.DeepCopyObject().(T)
			c.SetOwnerReferences(append(c.GetOwnerReferences(), *metav1.NewControllerRef(owner, all.Of(owner).GVK)))
			do = append(do, Action{Update: c})
			claimed = append(claimed, c)
		}
	}
	return claimed, do
}
