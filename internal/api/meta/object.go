package meta

import (
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Metadata checks the metadata of a new object. What is surely right is seen by a
// scan that costs next to nothing; the library is asked for words about the rest.
func Metadata(o metav1.Object, namespaced bool, name func(name string, prefix bool) []string, at *field.Path) field.ErrorList {
	if newMetadata(o, namespaced, name) {
		return nil
	}
	return Bound(validation.ValidateObjectMetaAccessor(o, namespaced, validation.ValidateNameFunc(name), at))
}

// MetadataUpdate checks how the metadata of an object change.
func MetadataUpdate(next, old metav1.Object, at *field.Path) field.ErrorList {
	if changedMetadata(next, old) {
		return nil
	}
	errs := validation.ValidateFinalizers(next.GetFinalizers(), at.Child("finalizers"))
	return Bound(append(errs, validation.ValidateObjectMetaAccessorUpdate(next, old, at)...))
}

func newMetadata(o metav1.Object, namespaced bool, name func(string, bool) []string) bool {
	if g := o.GetGenerateName(); g != "" && len(name(g, true)) > 0 {
		return false
	}
	n, ns := o.GetName(), o.GetNamespace()
	switch {
	case n == "" || len(name(n, false)) > 0:
		return false
	case namespaced && (len(ns) > 63 || !dnsLabel(ns)), !namespaced && ns != "":
		return false
	}
	return o.GetGeneration() >= 0 && finalizers(o.GetFinalizers()) && metadata(o)
}

// changedMetadata leaves objects that are being deleted, whose finalizers may only go, to the library.
func changedMetadata(next, old metav1.Object) bool {
	if old.GetDeletionTimestamp() != nil || next.GetDeletionTimestamp() != nil || old.GetDeletionGracePeriodSeconds() != nil || next.GetDeletionGracePeriodSeconds() != nil {
		return false
	}
	if next.GetResourceVersion() == "" || next.GetGeneration() < 0 || next.GetGeneration() < old.GetGeneration() {
		return false
	}
	if next.GetName() != old.GetName() || next.GetNamespace() != old.GetNamespace() || next.GetUID() != old.GetUID() {
		return false
	}
	made, before := next.GetCreationTimestamp(), old.GetCreationTimestamp()
	return sameTime(made.Time, before.Time) && finalizers(next.GetFinalizers()) && metadata(next)
}

func sameTime(a, b time.Time) bool { return a.UTC() == b.UTC() }

// metadata tells whether what is checked at creation and in updates is right.
func metadata(o metav1.Object) bool {
	for k, v := range o.GetLabels() {
		if !qualified(k) || !labelValue(v) {
			return false
		}
	}
	n := 0
	for k, v := range o.GetAnnotations() {
		n += len(k) + len(v)
		if !qualified(k) {
			return false
		}
	}
	return n <= validation.TotalAnnotationSizeLimitB && owners(o.GetOwnerReferences()) && managed(o.GetManagedFields())
}

func finalizers(list []string) bool {
	for _, f := range list {
		// Two that Kubernetes knows exclude each other.
		if !qualified(f) || f == metav1.FinalizerOrphanDependents || f == metav1.FinalizerDeleteDependents {
			return false
		}
	}
	return true
}

func owners(list []metav1.OwnerReference) bool {
	controlled := false
	for i := range list {
		r := &list[i]
		if r.Kind == "" || r.Kind == "Event" || r.Name == "" || r.UID == "" || !groupVersion(r.APIVersion) {
			return false
		}
		if r.Controller != nil && *r.Controller {
			if controlled {
				return false
			}
			controlled = true
		}
	}
	return true
}

// groupVersion tells whether s is a version, with or without a group.
func groupVersion(s string) bool {
	slashes := 0
	for i := range len(s) {
		if s[i] == '/' {
			slashes++
		}
	}
	return s != "" && s[len(s)-1] != '/' && slashes <= 1
}

func managed(list []metav1.ManagedFieldsEntry) bool {
	for i := range list {
		e := &list[i]
		if e.Operation != metav1.ManagedFieldsOperationApply && e.Operation != metav1.ManagedFieldsOperationUpdate {
			return false
		}
		if e.FieldsType != "" && e.FieldsType != "FieldsV1" || len(e.Subresource) > metavalidation.MaxSubresourceNameLength || len(e.Manager) > metavalidation.FieldManagerMaxLength {
			return false
		}
		for _, r := range e.Manager {
			if !unicode.IsPrint(r) {
				return false
			}
		}
	}
	return true
}
