package apiserver

import (
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
	definitions "github.com/skiff-k8s/skiff/internal/api/schema"
)

// customModel is the name of a custom resource's definition: the group the other
// way round, the version, the kind.
func customModel(gvk schema.GroupVersionKind) string {
	parts := strings.Split(gvk.Group, ".")
	slices.Reverse(parts)
	return strings.Join(append(parts, gvk.Version, gvk.Kind), ".")
}

// customSchemas are the definitions of a custom kind and its list.
func customSchemas(k *api.Resource, into map[string][]byte) error {
	m := map[string]any{}
	if k.Custom.Schema != nil {
		if b := k.Custom.Schema(); b != nil {
			if err := json.Unmarshal(b, &m); err != nil {
				return err
			}
		}
	}
	model := customModel(k.GVK)
	object, err := marshalJSON(withMetadata(m, modelMeta+"ObjectMeta", k.GVK))
	if err != nil {
		return err
	}
	gvk := k.GVK
	gvk.Kind = listKind(k)
	list, err := marshalJSON(withMetadata(map[string]any{
		"description": gvk.Kind + " is a list of " + k.GVK.Kind,
		"required":    []string{"items"},
		"properties": map[string]any{"items": map[string]any{
			"description": "List of " + k.GVR.Resource + ". More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
			"type":        "array", "items": map[string]any{"$ref": definitions.Refs + model}}},
	}, modelMeta+"ListMeta", gvk))
	into[model], into[customModel(gvk)] = object, list
	return err
}

// withMetadata adds what every object has to a schema.
func withMetadata(m map[string]any, meta string, gvk schema.GroupVersionKind) map[string]any {
	m["type"] = "object"
	m["x-kubernetes-group-version-kind"] = []any{map[string]any{"group": gvk.Group, "version": gvk.Version, "kind": gvk.Kind}}
	props, ok := m["properties"].(map[string]any)
	if !ok {
		props = map[string]any{}
		m["properties"] = props
	}
	const conventions = "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#"
	props["apiVersion"] = map[string]any{"type": "string", "description": "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. " + conventions + "resources"}
	props["kind"] = map[string]any{"type": "string", "description": "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. " + conventions + "types-kinds"}
	props["metadata"] = map[string]any{"description": "Standard object's metadata. " + conventions + "metadata", "allOf": []any{map[string]any{"$ref": definitions.Refs + meta}}}
	return m
}
