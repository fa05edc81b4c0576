package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// DefaultPodTemplate fills in what a pod template leaves out.
func DefaultPodTemplate(t *corev1.PodTemplateSpec) { DefaultPodSpec(&t.Spec) }

// DefaultPodSpec fills in what pods and templates have in common. What only pods
// get is in defaultPod: templates keep it open.
func DefaultPodSpec(s *corev1.PodSpec) {
	meta.Default(&s.DNSPolicy, corev1.DNSClusterFirst)
	meta.Default(&s.RestartPolicy, corev1.RestartPolicyAlways)
	if s.SecurityContext == nil {
		s.SecurityContext = &corev1.PodSecurityContext{}
	}
	meta.DefaultAt(&s.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	meta.Default(&s.SchedulerName, corev1.DefaultSchedulerName)
	defaultServiceAccountName(s)
	dropGated(s)
	for i := range s.Volumes {
		defaultVolume(&s.Volumes[i])
	}
	for i := range s.InitContainers {
		defaultContainer(&s.InitContainers[i])
	}
	for i := range s.Containers {
		defaultContainer(&s.Containers[i])
	}
	for i := range s.EphemeralContainers {
		c := corev1.Container(s.EphemeralContainers[i].EphemeralContainerCommon)
		defaultContainer(&c)
		s.EphemeralContainers[i].EphemeralContainerCommon = corev1.EphemeralContainerCommon(c)
	}
	meta.RoundUpToMilli(s.Overhead)
	if s.Resources != nil {
		meta.RoundUpToMilli(s.Resources.Limits)
		meta.RoundUpToMilli(s.Resources.Requests)
	}
}

// defaultServiceAccountName keeps serviceAccount, the old name of the field, equal to serviceAccountName.
func defaultServiceAccountName(s *corev1.PodSpec) {
	if s.ServiceAccountName == "" {
		s.ServiceAccountName = s.DeprecatedServiceAccount
	}
	s.DeprecatedServiceAccount = s.ServiceAccountName
}
