package managedfields

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// UpdateUnstructured is Update for an object without a Go type; what its fields are is t.
func UpdateUnstructured(next, old *unstructured.Unstructured, w Write, t typed.ParseableType) error {
	var before Object
	if old != nil {
		before = old
	}
	entries := w.account(next, before)
	next.SetManagedFields(nil)
	if old != nil && entries == nil {
		return nil
	}
	d, err := compareUnstructured(next, old, w.Ignored, t)
	if err != nil {
		next.SetManagedFields(entries)
		return err
	}
	strip(d.set)
	strip(d.removed)
	if !d.nothing() {
		entries = w.note(entries, func(string) difference { return d })
	}
	if len(entries) > 0 {
		next.SetManagedFields(entries)
	}
	return nil
}

// compareUnstructured has the library compare, which knows schemas that are no Go types.
func compareUnstructured(next, old *unstructured.Unstructured, ignored []string, t typed.ParseableType) (d difference, err error) {
	was := map[string]any{}
	if old != nil {
		was = withoutAccount(old.Object)
	}
	l, err := t.FromUnstructured(was, typed.AllowDuplicates)
	if err != nil {
		return d, err
	}
	r, err := t.FromUnstructured(next.Object, typed.AllowDuplicates)
	if err != nil {
		return d, err
	}
	c, err := l.Compare(r)
	if err != nil {
		return d, err
	}
	if len(ignored) > 0 {
		out := fieldpath.NewSet()
		for _, f := range ignored {
			out.Insert(fieldpath.MakePathOrDie(f))
		}
		c = c.FilterFields(fieldpath.NewExcludeSetFilter(out))
	}
	if d.set, err = fromLibrary(c.Added.Union(c.Modified)); err != nil {
		return d, err
	}
	d.removed, err = fromLibrary(c.Removed)
	return d, err
}

// withoutAccount is an object without managedFields.
func withoutAccount(o map[string]any) map[string]any {
	meta, ok := o["metadata"].(map[string]any)
	if !ok || meta["managedFields"] == nil {
		return o
	}
	out := make(map[string]any, len(o))
	for k, v := range o {
		out[k] = v
	}
	m := make(map[string]any, len(meta))
	for k, v := range meta {
		if k != "managedFields" {
			m[k] = v
		}
	}
	out["metadata"] = m
	return out
}

// fromLibrary is a set of the library as ours.
func fromLibrary(s *fieldpath.Set) (*set, error) {
	b, err := s.ToJSON()
	if err != nil {
		return nil, err
	}
	out, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("field set: %w", err)
	}
	return out, nil
}
