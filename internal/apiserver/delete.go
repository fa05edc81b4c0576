package apiserver

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/apiextensions"
	"github.com/skiff-k8s/skiff/internal/apiserver/admission"
	"github.com/skiff-k8s/skiff/internal/store"
)

// remove deletes an object, or begins its deletion when it has finalizers or a
// grace period. gone tells which.
func (s *Server) remove(ctx context.Context, t target, o metav1.DeleteOptions) (e *entry, gone bool, err error) {
	for range attempts {
		cur := s.cache(t.res).get(t.key())
		if cur == nil {
			return nil, false, t.notFound()
		}
		if p := o.Preconditions; p != nil {
			if p.UID != nil && *p.UID != cur.object().GetUID() {
				return nil, false, t.preconditionConflict("the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated", *p.UID, cur.object().GetUID())
			}
			if p.ResourceVersion != nil && *p.ResourceVersion != cur.object().GetResourceVersion() {
				return nil, false, t.preconditionConflict("the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). The object might have been modified", *p.ResourceVersion, cur.object().GetResourceVersion())
			}
		}
		attrs := admission.Attributes{Operation: admission.Delete, Resource: t.res, Namespace: t.ns, Name: t.name, User: t.user, Old: cur.object(), DryRun: t.dryRun, Warn: t.warn}
		if _, err := s.admit(ctx, &attrs); err != nil {
			return nil, false, err
		}
		if err := s.admission.Validate(ctx, &attrs); err != nil {
			return nil, false, err
		}
		next := s.beginDeletion(t, cur.object(), o)
		switch {
		case next == nil:
			var last api.Object
			if t.res.Graceful != nil {
				// compat: what could have waited is told as if it had.
				last = s.terminating(cur.object(), cur.object().GetFinalizers(), 0)
			}
			e, err = s.removed(ctx, t, cur, last)
			gone = true
		case next == cur.object():
			return cur, false, nil
		case t.dryRun:
			if e, err = newEntry(t.res, cur.key, next); err == nil {
				e.publish(cur.rev)
			}
		default:
			if e, err = newEntry(t.res, cur.key, next); err == nil {
				e, err = s.commit(ctx, store.Txn{If: []store.Compare{{Key: cur.key, Mod: cur.rev}}}, e)
			}
			gone = false
		}
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		return e, gone, err
	}
	return nil, false, s.tooBusy(t)
}

// preconditionConflict is why something is not deleted. compat: it is called by its kind.
func (t *target) preconditionConflict(format string, want, have any) error {
	gvk := t.gvk()
	return apierrors.NewConflict(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, t.name, fmt.Errorf(format, want, have))
}

// beginDeletion returns the object as it is while it waits for its end: nil when
// it goes at once, the object itself when nothing changes.
func (s *Server) beginDeletion(t target, old api.Object, o metav1.DeleteOptions) api.Object {
	finalizers := old.GetFinalizers()
	if t.res.GVK.Kind != "Event" { // which nothing depends on
		finalizers = deletionFinalizers(finalizers, o, t.orphans())
	}
	if _, ok := old.(*apiextensionsv1.CustomResourceDefinition); ok && old.GetDeletionTimestamp() == nil && !slices.Contains(finalizers, apiextensionsv1.CustomResourceCleanupFinalizer) {
		finalizers = append(slices.Clip(finalizers), apiextensionsv1.CustomResourceCleanupFinalizer)
	}
	var grace int64
	if t.res.Graceful != nil {
		grace = t.res.Graceful(old)
		if o.GracePeriodSeconds != nil && grace > 0 {
			grace = graceOf(*o.GracePeriodSeconds)
		}
	}
	if ts := old.GetDeletionTimestamp(); ts != nil {
		had := int64(0)
		if g := old.GetDeletionGracePeriodSeconds(); g != nil {
			had = *g
		}
		// Whatever the object has come to, only the client shortens the time that it was given.
		switch {
		case t.res.Graceful == nil || o.GracePeriodSeconds == nil:
			grace = had
		default:
			grace = graceOf(*o.GracePeriodSeconds)
		}
		if grace >= had && slices.Equal(finalizers, old.GetFinalizers()) {
			if had == 0 && len(finalizers) == 0 && !stillHeld(old) {
				return nil
			}
			return old
		}
		if grace > had {
			grace = had
		}
	}
	if grace == 0 && len(finalizers) == 0 && !stillHeld(old) {
		return nil
	}
	return s.terminating(old, finalizers, grace)
}

// graceOf is the time that a client gives; less than none is a second.
func graceOf(seconds int64) int64 {
	if seconds < 0 {
		return 1
	}
	return seconds
}

// terminating is the object as it is from the beginning of its deletion.
func (s *Server) terminating(old api.Object, finalizers []string, grace int64) api.Object {
	next := old.DeepCopyObject().(api.Object)
	next.SetFinalizers(finalizers)
	at := metav1.NewTime(s.now().Add(secondsOf(grace)))
	if ts := old.GetDeletionTimestamp(); ts != nil && ts.Before(&at) {
		at = *ts
	}
	next.SetDeletionTimestamp(&at)
	next.SetDeletionGracePeriodSeconds(&grace)
	if old.GetDeletionTimestamp() == nil && next.GetGeneration() > 0 {
		next.SetGeneration(next.GetGeneration() + 1)
	}
	switch o := next.(type) {
	case *corev1.Namespace:
		o.DeletionGracePeriodSeconds = nil // compat: it is not time that a namespace waits for
		o.Status.Phase = corev1.NamespaceTerminating
	case *apiextensionsv1.CustomResourceDefinition:
		if old.GetDeletionTimestamp() == nil {
			apiextensions.MarkDeleted(o, s.now())
		}
	}
	return next
}

// deletionFinalizers are the object's, with what the propagation policy adds or takes away.
// orphans is the policy when neither the request nor the object names one.
func deletionFinalizers(have []string, o metav1.DeleteOptions, orphans bool) []string {
	policy := metav1.DeletionPropagation("")
	switch {
	case o.PropagationPolicy != nil:
		policy = *o.PropagationPolicy
	case o.OrphanDependents != nil && *o.OrphanDependents:
		policy = metav1.DeletePropagationOrphan
	case o.OrphanDependents != nil:
		policy = metav1.DeletePropagationBackground
	case orphans && !slices.Contains(have, metav1.FinalizerDeleteDependents) && !slices.Contains(have, metav1.FinalizerOrphanDependents):
		policy = metav1.DeletePropagationOrphan
	default:
		return have
	}
	out := slices.DeleteFunc(slices.Clone(have), func(f string) bool {
		return f == metav1.FinalizerOrphanDependents || f == metav1.FinalizerDeleteDependents
	})
	switch policy {
	case metav1.DeletePropagationOrphan:
		out = append(out, metav1.FinalizerOrphanDependents)
	case metav1.DeletePropagationForeground:
		out = append(out, metav1.FinalizerDeleteDependents)
	}
	return out
}

// released tells that nothing keeps an object that is being deleted: it has no finalizers, and its time is over.
func released(o api.Object) bool {
	if o.GetDeletionTimestamp() == nil || len(o.GetFinalizers()) > 0 {
		return false
	}
	if _, ok := o.(*corev1.Namespace); ok {
		return !stillHeld(o)
	}
	grace := o.GetDeletionGracePeriodSeconds()
	return grace != nil && *grace == 0
}

// stillHeld tells that something besides metadata.finalizers keeps an object:
// a namespace is kept by its own list until its contents are gone.
func stillHeld(o api.Object) bool {
	ns, ok := o.(*corev1.Namespace)
	return ok && len(ns.Spec.Finalizers) > 0
}

// removed takes the object out of the store. last is its final state where that
// differs from cur.
func (s *Server) removed(ctx context.Context, t target, cur *entry, last api.Object) (*entry, error) {
	e := cur
	if last != nil {
		var err error
		if e, err = newEntry(t.res, cur.key, last); err != nil {
			return nil, unwritable(err)
		}
		e.publish(cur.rev)
	}
	if t.dryRun {
		return e, nil
	}
	txn := store.Txn{If: []store.Compare{{Key: cur.key, Mod: cur.rev}}, Then: []store.Op{{Key: cur.key, Delete: true}}, Lazy: t.res.Lazy}
	s.releaseOps(t, &txn, cur)
	_, err := s.feed.commit(ctx, txn)
	if errors.Is(err, store.ErrConflict) {
		return nil, err
	}
	if err != nil {
		return nil, s.storeError(err)
	}
	return e, nil
}
