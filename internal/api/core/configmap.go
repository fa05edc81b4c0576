package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ConfigMap is all there is about ConfigMaps on the server.
var ConfigMap = api.Kind[corev1.ConfigMap]{
	Version: corev1.SchemeGroupVersion, Resource: "configmaps", Short: []string{"cm"}, Namespaced: true,
	List: &corev1.ConfigMapList{},
	Columns: api.Columns[corev1.ConfigMap]{
		api.NameColumn[corev1.ConfigMap](),
		api.Number("Data", "Data contains the configuration data.", func(c *corev1.ConfigMap) any { return int64(len(c.Data) + len(c.BinaryData)) }),
		api.AgeColumn[corev1.ConfigMap](),
	},
}
