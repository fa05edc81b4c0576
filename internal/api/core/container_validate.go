package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var (
	pullPolicies     = []corev1.PullPolicy{corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever}
	messagePolicies  = []corev1.TerminationMessagePolicy{corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError}
	protocols        = []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}
	propagations     = []corev1.MountPropagationMode{corev1.MountPropagationBidirectional, corev1.MountPropagationHostToContainer, corev1.MountPropagationNone}
	recursiveModes   = []corev1.RecursiveReadOnlyMode{corev1.RecursiveReadOnlyDisabled, corev1.RecursiveReadOnlyEnabled, corev1.RecursiveReadOnlyIfPossible}
	resizePolicies   = []corev1.ResourceResizeRestartPolicy{corev1.NotRequired, corev1.RestartContainer}
	resizable        = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory}
	containerRestart = []corev1.ContainerRestartPolicy{corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever, corev1.ContainerRestartPolicyOnFailure}
)

// podChecks carries what the check of a container needs to know of its pod.
type podChecks struct {
	spec    *corev1.PodSpec
	volumes volumes
	claims  map[string]bool
	names   seen[string] // of containers, and of the init containers so far
	// template is set for pod templates, of which less is asked than of pods.
	template bool
}

func (p *podChecks) containers(at *field.Path) field.ErrorList {
	cs := p.spec.Containers
	if len(cs) == 0 {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	for i := range cs {
		c := &cs[i]
		idx := meta.Index(at, i)
		errs = append(errs, p.container(c, idx)...)
		if p.names.add(c.Name) {
			errs = append(errs, field.Duplicate(idx.Child("name"), c.Name))
		}
		errs = append(errs, p.lifecycle(c, idx)...)
		errs = append(errs, validateContainerRestart(c, idx)...)
	}
	return append(errs, hostPortConflicts(cs, at)...)
}

func (p *podChecks) initContainers(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	cs := p.spec.InitContainers
	for i := range cs {
		c := &cs[i]
		idx := meta.Index(at, i)
		errs = append(errs, p.container(c, idx)...)
		if c.Name != "" && p.names.add(c.Name) {
			errs = append(errs, field.Duplicate(idx.Child("name"), c.Name))
		}
		errs = append(errs, hostPortConflicts(cs[i:i+1], at)...)
		errs = append(errs, validateInitRestart(c, idx)...)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			errs = append(errs, p.lifecycle(c, idx)...)
			continue
		}
		for _, f := range []struct {
			name string
			set  bool
		}{{"lifecycle", c.Lifecycle != nil}, {"livenessProbe", c.LivenessProbe != nil}, {"readinessProbe", c.ReadinessProbe != nil}, {"startupProbe", c.StartupProbe != nil}} {
			if f.set {
				errs = append(errs, field.Forbidden(idx.Child(f.name), "may not be set for init containers without restartPolicy=Always"))
			}
		}
	}
	return errs
}

func (p *podChecks) lifecycle(c *corev1.Container, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	grace := p.spec.TerminationGracePeriodSeconds
	if l := c.Lifecycle; l != nil {
		if l.PostStart != nil {
			errs = append(errs, validateHandler(hookHandler(l.PostStart), grace, meta.Child(at, "lifecycle", "postStart"))...)
		}
		if l.PreStop != nil {
			errs = append(errs, validateHandler(hookHandler(l.PreStop), grace, meta.Child(at, "lifecycle", "preStop"))...)
		}
		errs = append(errs, p.stopSignal(l.StopSignal, meta.Child(at, "lifecycle"))...)
	}
	errs = append(errs, validateProbe(c.LivenessProbe, grace, at, "livenessProbe")...)
	errs = append(errs, validateProbe(c.ReadinessProbe, grace, at, "readinessProbe")...)
	return append(errs, validateProbe(c.StartupProbe, grace, at, "startupProbe")...)
}

func (p *podChecks) stopSignal(s *corev1.Signal, at *field.Path) field.ErrorList {
	if s == nil {
		return nil
	}
	at = meta.Child(at, "stopSignal")
	switch os := p.spec.OS; {
	case os == nil:
		return field.ErrorList{field.Forbidden(at, "may not be set for containers with empty `spec.os.name`")}
	case os.Name == corev1.Windows:
		return supported(at, *s, windowsSignals)
	case os.Name == corev1.Linux:
		return supported(at, *s, linuxSignals)
	}
	return nil
}

// container checks what containers of all sorts have in common.
func (p *podChecks) container(c *corev1.Container, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if c.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	} else if msgs := meta.DNSLabel(c.Name); msgs != nil {
		errs = append(errs, meta.Invalids(meta.Child(at, "name"), c.Name, msgs)...)
	}
	switch {
	case c.Image == "":
		errs = append(errs, field.Required(at.Child("image"), ""))
	case !p.template && len(strings.TrimSpace(c.Image)) != len(c.Image):
		errs = append(errs, field.Invalid(at.Child("image"), c.Image, "must not have leading or trailing whitespace"))
	}
	if c.TerminationMessagePolicy == "" {
		errs = append(errs, field.Required(at.Child("terminationMessagePolicy"), ""))
	} else {
		errs = append(errs, oneOf(at, "terminationMessagePolicy", c.TerminationMessagePolicy, messagePolicies)...)
	}
	errs = append(errs, validateContainerPorts(c.Ports, at)...)
	errs = append(errs, validateEnv(c.Env, at)...)
	errs = append(errs, p.fileVolumes(c.Env, at)...)
	errs = append(errs, validateEnvFrom(c.EnvFrom, at)...)
	errs = append(errs, p.mounts(c, at)...)
	errs = append(errs, p.devices(c, at)...)
	if c.ImagePullPolicy == "" {
		errs = append(errs, field.Required(at.Child("imagePullPolicy"), ""))
	} else {
		errs = append(errs, oneOf(at, "imagePullPolicy", c.ImagePullPolicy, pullPolicies)...)
	}
	errs = append(errs, validateResources(&c.Resources, p.claims, meta.Child(at, "resources"))...)
	errs = append(errs, p.resizePolicy(c.ResizePolicy, at)...)
	if c.SecurityContext != nil {
		errs = append(errs, validateSecurityContext(c.SecurityContext, p.spec, meta.Child(at, "securityContext"))...)
	}
	return errs
}

// oneOf is supported for a child, whose path is only made for the error.
func oneOf[T ~string](at *field.Path, child string, v T, list []T) field.ErrorList {
	for _, x := range list {
		if x == v {
			return nil
		}
	}
	return field.ErrorList{field.NotSupported(at.Child(child), v, list)}
}

func validateContainerPorts(ports []corev1.ContainerPort, at *field.Path) field.ErrorList {
	if len(ports) == 0 {
		return nil
	}
	var errs field.ErrorList
	var names seen[string]
	for i := range ports {
		p := &ports[i]
		idx := meta.Index(meta.Child(at, "ports"), i)
		if p.Name != "" {
			if msgs := meta.PortName(p.Name); len(msgs) > 0 {
				errs = append(errs, meta.Invalids(meta.Child(idx, "name"), p.Name, msgs)...)
			} else if names.add(p.Name) {
				errs = append(errs, field.Duplicate(idx.Child("name"), p.Name))
			}
		}
		if p.ContainerPort == 0 {
			errs = append(errs, field.Required(idx.Child("containerPort"), ""))
		} else {
			errs = append(errs, meta.Port(p.ContainerPort, meta.Child(idx, "containerPort"))...)
		}
		if p.HostPort != 0 {
			errs = append(errs, meta.Port(p.HostPort, meta.Child(idx, "hostPort"))...)
		}
		if p.Protocol == "" {
			errs = append(errs, field.Required(idx.Child("protocol"), ""))
		} else {
			errs = append(errs, oneOf(idx, "protocol", p.Protocol, protocols)...)
		}
	}
	return errs
}

func hostPortConflicts(cs []corev1.Container, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	var taken map[string]bool
	for i := range cs {
		for j := range cs[i].Ports {
			p := &cs[i].Ports[j]
			if p.HostPort == 0 {
				continue
			}
			key := fmt.Sprintf("%s/%s/%d", p.Protocol, p.HostIP, p.HostPort)
			if taken[key] {
				errs = append(errs, field.Duplicate(at.Index(i).Child("ports").Index(j).Child("hostPort"), key))
				continue
			}
			if taken == nil {
				taken = map[string]bool{}
			}
			taken[key] = true
		}
	}
	return errs
}

func (p *podChecks) resizePolicy(rs []corev1.ContainerResizePolicy, at *field.Path) field.ErrorList {
	if len(rs) == 0 {
		return nil
	}
	var errs field.ErrorList
	var names seen[corev1.ResourceName]
	for i := range rs {
		r := &rs[i]
		list := meta.Child(at, "resizePolicy")
		if names.add(r.ResourceName) {
			errs = append(errs, field.Duplicate(list.Index(i), r.ResourceName))
		}
		if r.ResourceName == "" {
			errs = append(errs, field.Required(list, ""))
		} else {
			errs = append(errs, supported(list, r.ResourceName, resizable)...)
		}
		if r.RestartPolicy == "" {
			errs = append(errs, field.Required(list, ""))
		} else {
			errs = append(errs, supported(list, r.RestartPolicy, resizePolicies)...)
		}
		if p.spec.RestartPolicy == corev1.RestartPolicyNever && r.RestartPolicy != corev1.NotRequired {
			errs = append(errs, field.Invalid(list, r.RestartPolicy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))
		}
	}
	return errs
}

// validateInitRestart looks at the rules only where there is a policy for them.
func validateInitRestart(c *corev1.Container, at *field.Path) field.ErrorList {
	if c.RestartPolicy == nil && len(c.RestartPolicyRules) > 0 {
		return field.ErrorList{field.Required(at.Child("restartPolicy"), restartRulesAlone)}
	}
	return validateContainerRestart(c, at)
}

const restartRulesAlone = "must specify restartPolicy when restart rules are used"

func validateContainerRestart(c *corev1.Container, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if c.RestartPolicy != nil {
		errs = append(errs, oneOf(at, "restartPolicy", *c.RestartPolicy, containerRestart)...)
	} else if len(c.RestartPolicyRules) > 0 {
		errs = append(errs, field.Required(at.Child("restartPolicy"), restartRulesAlone))
	}
	list := meta.Child(at, "restartPolicyRules")
	if n := len(c.RestartPolicyRules); n > 20 {
		errs = append(errs, field.TooMany(list, n, 20))
	}
	for i := range c.RestartPolicyRules {
		r := &c.RestartPolicyRules[i]
		idx := meta.Index(list, i)
		errs = append(errs, oneOf(idx, "action", r.Action, []corev1.ContainerRestartRuleAction{corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers})...)
		if r.ExitCodes == nil {
			errs = append(errs, field.Required(idx.Child("exitCodes"), "must be specified"))
			continue
		}
		errs = append(errs, oneOf(meta.Child(idx, "exitCodes"), "operator", r.ExitCodes.Operator, []corev1.ContainerRestartRuleOnExitCodesOperator{corev1.ContainerRestartRuleOnExitCodesOpIn, corev1.ContainerRestartRuleOnExitCodesOpNotIn})...)
		if len(r.ExitCodes.Values) > 255 {
			errs = append(errs, field.TooMany(idx.Child("exitCodes", "values"), len(r.ExitCodes.Values), 255))
		}
	}
	return errs
}
