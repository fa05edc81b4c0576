package custom

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/skiff-k8s/skiff/internal/api"
)

// noCancel is for who is not told of the request.
var noCancel = context.Background()

func (v *Version) prepare(o *unstructured.Unstructured) {
	if v.Status != nil {
		delete(o.Object, "status")
	}
}

func (v *Version) prepareUpdate(next, old *unstructured.Unstructured) {
	if v.Status != nil {
		carryStatus(next.Object, old.Object)
	}
}

// specChanged tells whether the generation goes up: whatever changes counts, but for
// metadata, and for a status that is a subresource.
func (v *Version) specChanged(next, old *unstructured.Unstructured) bool {
	skip := func(key string) bool { return key == "metadata" || key == "status" && v.Status != nil }
	for k, a := range next.Object {
		if skip(k) {
			continue
		}
		if b, ok := old.Object[k]; !ok || !equal(a, b) {
			return true
		}
	}
	for k := range old.Object {
		if _, ok := next.Object[k]; !ok && !skip(k) {
			return true
		}
	}
	return false
}

// equal compares JSON values; nothing and an empty list or object of the same type are equal.
func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}

// warnFinalizers warns of new finalizers whose names may be those of others.
func warnFinalizers(next, old api.Object) (out []string) {
	added := slices.Clone(next.GetFinalizers())
	if old != nil {
		had := map[string]bool{}
		for _, f := range old.GetFinalizers() {
			had[f] = true
		}
		added = slices.DeleteFunc(added, func(f string) bool { return had[f] })
	}
	slices.Sort(added)
	for _, f := range slices.Compact(added) {
		warn := func(why string) { out = append(out, fmt.Sprintf("metadata.finalizers: %q: %s", f, why)) }
		for _, why := range validation.IsQualifiedName(f) {
			warn(why)
		}
		switch {
		case strings.Contains(f, "/"), f == metav1.FinalizerOrphanDependents, f == metav1.FinalizerDeleteDependents, f == string(corev1.FinalizerKubernetes):
		case strings.Contains(f, "."):
			warn("prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers")
		default:
			warn("prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers")
		}
	}
	return out
}
