package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// ConfigMap is all there is about ConfigMaps on the server.
var ConfigMap = api.Kind[corev1.ConfigMap]{
	Version: corev1.SchemeGroupVersion, Resource: "configmaps", Short: []string{"cm"}, Namespaced: true,
	List:           &corev1.ConfigMapList{},
	Default:        defaultConfigMap,
	Validate:       validateConfigMap,
	ValidateUpdate: validateConfigMapUpdate,
	Columns: api.Columns[corev1.ConfigMap]{
		api.NameColumn[corev1.ConfigMap](),
		api.Text("Data", "Data contains the configuration data.", func(c *corev1.ConfigMap) any { return int64(len(c.Data) + len(c.BinaryData)) }),
		api.AgeColumn[corev1.ConfigMap](),
	},
}

// defaultConfigMap reads null as nothing, which is what it is stored as.
func defaultConfigMap(c *corev1.ConfigMap) {
	for k, v := range c.BinaryData {
		if v == nil {
			c.BinaryData[k] = []byte{}
		}
	}
}

func validateConfigMap(c *corev1.ConfigMap) field.ErrorList {
	var errs field.ErrorList
	size := 0
	for k, v := range c.Data {
		if msgs := meta.ConfigKey(k); msgs != nil {
			errs = append(errs, meta.Invalids(field.NewPath("data").Key(k), k, msgs)...)
		}
		if _, both := c.BinaryData[k]; both {
			errs = append(errs, field.Invalid(field.NewPath("data").Key(k), k, "duplicate of key present in binaryData"))
		}
		size += len(v)
	}
	for k, v := range c.BinaryData {
		if msgs := meta.ConfigKey(k); msgs != nil {
			errs = append(errs, meta.Invalids(field.NewPath("binaryData").Key(k), k, msgs)...)
		}
		size += len(v)
	}
	if size > corev1.MaxSecretSize {
		// compat: the path is empty.
		errs = append(errs, field.TooLong(field.NewPath(""), "", corev1.MaxSecretSize))
	}
	return errs
}

// validateConfigMapUpdate keeps immutable maps as they are.
func validateConfigMapUpdate(next, old *corev1.ConfigMap) field.ErrorList {
	var errs field.ErrorList
	if old.Immutable != nil && *old.Immutable {
		if next.Immutable == nil || !*next.Immutable {
			errs = append(errs, field.Forbidden(field.NewPath("immutable"), "field is immutable when `immutable` is set"))
		}
		if !meta.Equal(&next.Data, &old.Data) {
			errs = append(errs, field.Forbidden(field.NewPath("data"), "field is immutable when `immutable` is set"))
		}
		if !meta.Equal(&next.BinaryData, &old.BinaryData) {
			errs = append(errs, field.Forbidden(field.NewPath("binaryData"), "field is immutable when `immutable` is set"))
		}
	}
	return append(errs, validateConfigMap(next)...)
}
