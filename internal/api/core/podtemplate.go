package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// PodTemplate is all there is about PodTemplate objects on the server.
var PodTemplate = api.Kind[corev1.PodTemplate]{
	Version: corev1.SchemeGroupVersion, Resource: "podtemplates", Namespaced: true,
	List: &corev1.PodTemplateList{},
	Spec: func(o *corev1.PodTemplate) any { return &o.Template },
}
