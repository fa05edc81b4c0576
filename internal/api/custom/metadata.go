package custom

import (
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
)

// shapeMetadata brings metadata into the shape that it has after it went through
// metav1.ObjectMeta: without what that does not know, and without what is empty. Nearly
// all of it has that shape; the rest takes the long way.
func shapeMetadata(o map[string]any, strict, drop bool) (m any, found bool, unknown []string, err error) {
	if m, ok := o["metadata"].(map[string]any); ok && wellShaped(m) {
		return m, true, nil, nil
	}
	meta, found, unknown, err := objectmeta.GetObjectMetaWithOptions(o, objectmeta.ObjectMetaOptions{DropMalformedFields: drop, ReturnUnknownFieldPaths: strict})
	if err != nil || !found {
		return nil, found, nil, err
	}
	holder := map[string]any{}
	if err := objectmeta.SetObjectMeta(holder, meta); err != nil {
		return nil, true, nil, err
	}
	return holder["metadata"], true, unknown, nil
}

// wellShaped drops empty fields, which change nothing whatever the rest is, and tells
// whether what is left has its shape.
func wellShaped(m map[string]any) bool {
	for k, v := range m {
		ok := false
		switch k {
		case "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion":
			var s string
			if s, ok = v.(string); ok && s == "" {
				delete(m, k)
			}
		case "labels", "annotations":
			ok = allStrings(v)
		case "generation", "deletionGracePeriodSeconds":
			var i int64
			i, ok = v.(int64)
			ok = ok && (i != 0 || k != "generation")
		case "creationTimestamp", "deletionTimestamp":
			if ok = v == nil; ok {
				delete(m, k)
			} else {
				ok = isTime(v)
			}
		case "finalizers":
			var list []any
			list, ok = v.([]any)
			ok = ok && len(list) > 0
			for _, f := range list {
				if _, is := f.(string); !is {
					ok = false
				}
			}
		case "ownerReferences":
			ok = each(v, isOwner)
		case "managedFields":
			ok = each(v, isManaged)
		}
		if !ok {
			return false
		}
	}
	return true
}

// each wants a list of objects, with something in it.
func each(v any, is func(map[string]any) bool) bool {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return false
	}
	for _, item := range list {
		m, ok := item.(map[string]any)
		if !ok || !is(m) {
			return false
		}
	}
	return true
}

func allStrings(v any) bool {
	m, ok := v.(map[string]any)
	if !ok || len(m) == 0 {
		return false
	}
	for _, v := range m {
		if _, ok := v.(string); !ok {
			return false
		}
	}
	return true
}

// isTime wants the one form in which times are written.
func isTime(v any) bool {
	s, ok := v.(string)
	if !ok || len(s) != len("2006-01-02T15:04:05Z") {
		return false
	}
	t, err := time.Parse(time.RFC3339, s)
	return err == nil && !t.IsZero() && t.UTC().Format(time.RFC3339) == s
}

func isOwner(m map[string]any) bool {
	texts := 0
	for k, v := range m {
		switch k {
		case "apiVersion", "kind", "name", "uid":
			if _, ok := v.(string); !ok {
				return false
			}
			texts++ // these are written even if they are empty
		case "controller", "blockOwnerDeletion":
			if _, ok := v.(bool); !ok {
				return false
			}
		default:
			return false
		}
	}
	return texts == 4
}

func isManaged(m map[string]any) bool {
	for k, v := range m {
		switch k {
		case "manager", "operation", "apiVersion", "fieldsType", "subresource":
			if s, ok := v.(string); !ok || s == "" {
				return false
			}
		case "time":
			if !isTime(v) {
				return false
			}
		case "fieldsV1":
			if _, ok := v.(map[string]any); !ok {
				return false
			}
		default:
			return false
		}
	}
	return true
}
