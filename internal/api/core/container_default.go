package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultContainer(c *corev1.Container) {
	dropContainerGated(c)
	if c.ImagePullPolicy == "" {
		c.ImagePullPolicy = pullPolicy(c.Image)
	}
	meta.Default(&c.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	meta.Default(&c.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	for i := range c.Ports {
		meta.Default(&c.Ports[i].Protocol, corev1.ProtocolTCP)
	}
	for i := range c.Env {
		from := c.Env[i].ValueFrom
		if from == nil {
			continue
		}
		if from.FieldRef != nil {
			meta.Default(&from.FieldRef.APIVersion, "v1")
		}
		if from.FileKeyRef != nil {
			meta.DefaultAt(&from.FileKeyRef.Optional, false)
		}
	}
	meta.RoundUpToMilli(c.Resources.Limits)
	meta.RoundUpToMilli(c.Resources.Requests)
	defaultProbe(c.LivenessProbe)
	defaultProbe(c.ReadinessProbe)
	defaultProbe(c.StartupProbe)
	if c.Lifecycle != nil {
		defaultHook(c.Lifecycle.PostStart)
		defaultHook(c.Lifecycle.PreStop)
	}
}

func defaultProbe(p *corev1.Probe) {
	if p == nil {
		return
	}
	meta.Default(&p.TimeoutSeconds, 1)
	meta.Default(&p.PeriodSeconds, 10)
	meta.Default(&p.SuccessThreshold, 1)
	meta.Default(&p.FailureThreshold, 3)
	defaultHTTPGet(p.HTTPGet)
	if p.GRPC != nil {
		meta.DefaultAt(&p.GRPC.Service, "")
		p.GRPC.Mode = nil // behind a gate (GRPCContainerProbeTLS), as in dropGated
	}
}

func defaultHook(h *corev1.LifecycleHandler) {
	if h != nil {
		defaultHTTPGet(h.HTTPGet)
	}
}

func defaultHTTPGet(a *corev1.HTTPGetAction) {
	if a == nil {
		return
	}
	meta.Default(&a.Path, "/")
	meta.Default(&a.Scheme, corev1.URISchemeHTTP)
	a.Protocol = nil // behind a gate (H2CContainerProbe), as in dropGated
}

// requestsFromLimits asks for as much as the limits where the container says nothing.
func requestsFromLimits(r *corev1.ResourceRequirements) {
	for name, q := range r.Limits {
		if _, ok := r.Requests[name]; ok {
			continue
		}
		if r.Requests == nil {
			r.Requests = make(corev1.ResourceList, len(r.Limits))
		}
		r.Requests[name] = q.DeepCopy()
	}
}
