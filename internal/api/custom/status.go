package custom

import (
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// status is the status subresource: nothing else of the object is taken, not even metadata.
func (v *Version) status() *api.ResourceStatus {
	return &api.ResourceStatus{
		Only: true,
		Over: func(old, next api.Object) api.Object {
			m := maps.Clone(asCustom(old).Object)
			if meta, ok := m["metadata"].(map[string]any); ok {
				m["metadata"] = maps.Clone(meta)
			}
			carryStatus(m, asCustom(next).Object)
			return &unstructured.Unstructured{Object: m}
		},
		Carry: func(dst, src api.Object) { carryStatus(asCustom(dst).Object, asCustom(src).Object) },
		Validate: func(next, old api.Object) field.ErrorList {
			return v.ValidateStatus(noCancel, asCustom(next), asCustom(old))
		},
	}
}

// carryStatus copies: what it comes from may be shared.
func carryStatus(dst, src map[string]any) {
	if s, ok := src["status"]; ok {
		dst["status"] = runtime.DeepCopyJSONValue(s)
	} else {
		delete(dst, "status")
	}
}
