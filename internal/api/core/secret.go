package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Secret is all there is about Secret objects on the server.
var Secret = api.Kind[corev1.Secret]{
	Version: corev1.SchemeGroupVersion, Resource: "secrets", Namespaced: true,
	List:           &corev1.SecretList{},
	Default:        defaultSecret,
	Prepare:        prepareSecret,
	Validate:       validateSecret,
	ValidateUpdate: validateSecretUpdate,
	PrepareUpdate:  prepareSecretUpdate,
	Warn:           warnSecret,
	Fields: map[string]func(*corev1.Secret) string{
		"type": func(o *corev1.Secret) string { return string(o.Type) },
	},
	Columns: api.Columns[corev1.Secret]{
		api.NameColumn[corev1.Secret](),
		api.Text("Type", "Used to facilitate programmatic handling of secret data.", func(o *corev1.Secret) any { return string(o.Type) }),
		api.Text("Data", "Data contains the secret data.", func(o *corev1.Secret) any { return int64(len(o.Data)) }),
		api.AgeColumn[corev1.Secret](),
	},
}
