package garbagecollector

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// step decides about one object.
func (c *collector) step(v controller.View, id ID) (controller.Plan, error) {
	o, err := v.Get(v.Context, id.Row, id.Namespace, id.Name)
	if errors.IsNotFound(err) {
		return controller.Plan{}, nil
	}
	if err != nil {
		return controller.Plan{}, err
	}
	var do []controller.Action
	switch {
	case o.GetDeletionTimestamp() == nil:
		do, err = c.attempt(v, id.Row, o)
	case slices.Contains(o.GetFinalizers(), metav1.FinalizerOrphanDependents):
		do, err = c.orphan(v, id.Row, o)
	case slices.Contains(o.GetFinalizers(), metav1.FinalizerDeleteDependents):
		do, err = c.foreground(v, id.Row, o)
	}
	return controller.Plan{Do: do}, err
}

// dependent is an object that refers to an owner.
type dependent struct {
	row    *api.Resource
	object api.Object
	ref    metav1.OwnerReference
}

// dependents are the objects that refer to the owner now: those seen, and those
// too new to have been seen, which the index of controllers knows.
func (c *collector) dependents(v controller.View, owner types.UID) ([]dependent, error) {
	var out []dependent
	done := map[ID]bool{}
	add := func(r *api.Resource, o api.Object) {
		if id := idOf(r, o); !done[id] {
			done[id] = true
			for _, ref := range o.GetOwnerReferences() {
				if ref.UID == owner {
					out = append(out, dependent{r, o, ref})
					return
				}
			}
		}
	}
	for _, r := range c.rows() {
		if !collectable(r) {
			continue
		}
		objects, err := v.ByIndex(v.Context, r, api.IndexOwner, string(owner))
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			add(r, o)
		}
	}
	for _, id := range c.graph.dependentsOf(owner) {
		o, err := v.Get(v.Context, id.Row, id.Namespace, id.Name)
		if errors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		add(id.Row, o)
	}
	return out, nil
}

// orphan lets the dependents go, and then the owner.
func (c *collector) orphan(v controller.View, r *api.Resource, o api.Object) ([]controller.Action, error) {
	deps, err := c.dependents(v, o.GetUID())
	if err != nil {
		return nil, err
	}
	var do []controller.Action
	for _, d := range deps {
		do = append(do, without(d.row, d.object, func(ref metav1.OwnerReference) bool { return ref.UID == o.GetUID() }))
	}
	return append(do, unfinalized(r, o, metav1.FinalizerOrphanDependents)), nil
}

// foreground deletes the dependents, and lets the owner go when none is left that blocks it.
func (c *collector) foreground(v controller.View, r *api.Resource, o api.Object) ([]controller.Action, error) {
	deps, err := c.dependents(v, o.GetUID())
	if err != nil {
		return nil, err
	}
	var do []controller.Action
	blocked := false
	for _, d := range deps {
		blocked = blocked || d.ref.BlockOwnerDeletion != nil && *d.ref.BlockOwnerDeletion
		if d.object.GetDeletionTimestamp() != nil {
			continue
		}
		more, err := c.attempt(v, d.row, d.object)
		if err != nil {
			return nil, err
		}
		do = append(do, more...)
	}
	if !blocked {
		do = append(do, unfinalized(r, o, metav1.FinalizerDeleteDependents))
	}
	return do, nil
}

// attempt deletes an object unless one of its owners is there to stay; then it
// loses only the references to those that are not.
func (c *collector) attempt(v controller.View, r *api.Resource, o api.Object) ([]controller.Action, error) {
	refs := o.GetOwnerReferences()
	if len(refs) == 0 {
		return nil, nil
	}
	solid, waiting, lost := 0, 0, map[types.UID]bool{}
	for _, ref := range refs {
		s, err := c.stateOf(v, o, ref)
		if err != nil {
			return nil, err
		}
		switch s {
		case there:
			solid++
		case waits:
			waiting++
			lost[ref.UID] = true
		case absent:
			lost[ref.UID] = true
		}
	}
	switch {
	case solid > 0 && len(lost) == 0:
		return nil, nil
	case solid > 0:
		return []controller.Action{without(r, o, func(ref metav1.OwnerReference) bool { return lost[ref.UID] })}, nil
	}
	policy := metav1.DeletePropagationBackground
	switch {
	case slices.Contains(o.GetFinalizers(), metav1.FinalizerOrphanDependents):
		policy = metav1.DeletePropagationOrphan
	case slices.Contains(o.GetFinalizers(), metav1.FinalizerDeleteDependents):
		policy = metav1.DeletePropagationForeground
	}
	if waiting == 0 {
		return []controller.Action{remove(r, o, policy)}, nil
	}
	deps, err := c.dependents(v, o.GetUID())
	if err != nil || len(deps) == 0 {
		return []controller.Action{remove(r, o, policy)}, err
	}
	// Its own dependents go before it. In a circle of owners everybody would wait
	// for everybody: one that is being deleted already breaks it by not blocking any more.
	for _, d := range deps {
		if d.object.GetDeletionTimestamp() != nil && slices.Contains(d.object.GetFinalizers(), metav1.FinalizerDeleteDependents) {
			c := o.DeepCopyObject().(api.Object)
			free := slices.Clone(c.GetOwnerReferences())
			for i := range free {
				no := false
				free[i].BlockOwnerDeletion = &no
			}
			c.SetOwnerReferences(free)
			return []controller.Action{{Update: c, Resource: r, Then: func(o api.Object) []controller.Action {
				return []controller.Action{remove(r, o, metav1.DeletePropagationForeground)}
			}}}, nil
		}
	}
	return []controller.Action{remove(r, o, metav1.DeletePropagationForeground)}, nil
}

type state int

const (
	there  state = iota
	absent       // there is none with that UID
	waits        // it is being deleted and waits for its dependents
)

func (c *collector) stateOf(v controller.View, o api.Object, ref metav1.OwnerReference) (state, error) {
	row := c.rowOf(schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).Group, ref.Kind)
	// Nothing is deleted because of a reference that cannot be followed: to a kind that is not known
	// (yet), or from outside of namespaces into one.
	if row == nil || row.Namespaced && o.GetNamespace() == "" {
		return there, nil
	}
	id := ownerID(row, o, ref.Name)
	owner, err := v.Get(v.Context, row, id.Namespace, id.Name)
	switch {
	case errors.IsNotFound(err):
		return absent, nil
	case err != nil:
		return there, err
	case owner.GetUID() != ref.UID:
		return absent, nil
	case owner.GetDeletionTimestamp() != nil && slices.Contains(owner.GetFinalizers(), metav1.FinalizerDeleteDependents):
		return waits, nil
	}
	return there, nil
}

func remove(r *api.Resource, o api.Object, policy metav1.DeletionPropagation) controller.Action {
	uid, revision := o.GetUID(), o.GetResourceVersion()
	return controller.Action{Resource: r, Delete: &controller.Delete{Object: o, Options: metav1.DeleteOptions{
		PropagationPolicy: &policy, Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &revision},
	}}}
}

// without drops owner references.
func without(r *api.Resource, o api.Object, drop func(metav1.OwnerReference) bool) controller.Action {
	c := o.DeepCopyObject().(api.Object)
	c.SetOwnerReferences(slices.DeleteFunc(slices.Clone(c.GetOwnerReferences()), drop))
	return controller.Action{Resource: r, Update: c, Else: ignoreGone}
}

func unfinalized(r *api.Resource, o api.Object, finalizer string) controller.Action {
	c := o.DeepCopyObject().(api.Object)
	c.SetFinalizers(slices.DeleteFunc(slices.Clone(c.GetFinalizers()), func(f string) bool { return f == finalizer }))
	return controller.Action{Resource: r, Update: c, Else: ignoreGone}
}

func ignoreGone(err error) []controller.Action {
	if errors.IsNotFound(err) {
		return nil
	}
	return []controller.Action{{Fail: err}}
}
