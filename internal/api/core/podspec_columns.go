package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ContainerNames and ContainerImages are what wide tables show of a template, joined by commas.
func ContainerNames(s *corev1.PodSpec) string {
	names := make([]string, len(s.Containers))
	for i := range s.Containers {
		names[i] = s.Containers[i].Name
	}
	return strings.Join(names, ",")
}

func ContainerImages(s *corev1.PodSpec) string {
	images := make([]string, len(s.Containers))
	for i := range s.Containers {
		images[i] = s.Containers[i].Image
	}
	return strings.Join(images, ",")
}

// TemplateColumns are the wide columns of kinds that have a template of pods.
func TemplateColumns[T any](spec func(*T) *corev1.PodSpec) api.Columns[T] {
	return api.Columns[T]{
		api.Wide("Containers", "Names of each container in the template.", func(o *T) any { return ContainerNames(spec(o)) }),
		api.Wide("Images", "Images referenced by each container in the template.", func(o *T) any { return ContainerImages(spec(o)) }),
	}
}
