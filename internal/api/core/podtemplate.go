package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// PodTemplate is all there is about PodTemplate objects on the server.
var PodTemplate = api.Kind[corev1.PodTemplate]{
	Version: corev1.SchemeGroupVersion, Resource: "podtemplates", Namespaced: true,
	List:    &corev1.PodTemplateList{},
	Spec:    func(o *corev1.PodTemplate) any { return &o.Template },
	Default: func(o *corev1.PodTemplate) { DefaultPodTemplate(&o.Template) },
	Validate: func(o *corev1.PodTemplate) field.ErrorList {
		return ValidatePodTemplate(&o.Template, field.NewPath("template"))
	},
	Warn: warnPodTemplate,
	ValidateUpdate: func(next, _ *corev1.PodTemplate) field.ErrorList {
		return ValidatePodTemplate(&next.Template, field.NewPath("template"))
	},
	Columns: api.Columns[corev1.PodTemplate]{
		api.NameColumn[corev1.PodTemplate](),
		api.Text("Containers", "Names of each container in the template.", func(o *corev1.PodTemplate) any { return ContainerNames(&o.Template.Spec) }),
		api.Text("Images", "Images referenced by each container in the template.", func(o *corev1.PodTemplate) any { return ContainerImages(&o.Template.Spec) }),
		api.Text("Pod Labels", "The labels for the pod template.", func(o *corev1.PodTemplate) any { return labels.FormatLabels(o.Template.Labels) }),
	},
}
