package core

import (
	"fmt"
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var (
	restartPolicies = []corev1.RestartPolicy{corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever}
	dnsPolicies     = []corev1.DNSPolicy{corev1.DNSClusterFirstWithHostNet, corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSNone}
)

// ValidatePodTemplate checks a template at path: its labels, its annotations and its spec.
func ValidatePodTemplate(t *corev1.PodTemplateSpec, at *field.Path) field.ErrorList {
	return meta.Checked(at, func(at *field.Path) field.ErrorList { return validatePodTemplate(t, at) })
}

func validatePodTemplate(t *corev1.PodTemplateSpec, at *field.Path) field.ErrorList {
	errs := meta.Labels(t.Labels, meta.Child(at, "labels"))
	if len(t.Annotations) > 0 {
		errs = append(errs, meta.Annotations(t.Annotations, meta.Child(at, "annotations"))...)
		errs = append(errs, validatePodAnnotations(t.Annotations, &t.Spec, meta.Child(at, "annotations"))...)
	}
	errs = append(errs, validatePodSpec(&t.Spec, &t.ObjectMeta, meta.Child(at, "spec"), true)...)
	if len(t.Annotations) > 0 {
		errs = append(errs, validateProfilesMatch(t.Annotations, &t.Spec, meta.Child(at, "spec"))...)
	}
	if len(t.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(at.Child("spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template"))
	}
	return errs
}

// validatePodSpec checks what pods and templates have in common.
func validatePodSpec(s *corev1.PodSpec, m *metav1.ObjectMeta, at *field.Path, template bool) field.ErrorList {
	p := podChecks{spec: s, template: template}
	var errs field.ErrorList
	p.volumes, errs = validateVolumes(s.Volumes, m, template, meta.Child(at, "volumes"))
	errs = append(errs, p.resourceClaims(meta.Child(at, "resourceClaims"))...)
	errs = append(errs, p.containers(meta.Child(at, "containers"))...)
	errs = append(errs, p.initContainers(meta.Child(at, "initContainers"))...)
	errs = append(errs, p.ephemeralContainers(meta.Child(at, "ephemeralContainers"))...)
	if s.Resources != nil {
		errs = append(errs, p.podResources(meta.Child(at, "resources"))...)
	}
	errs = append(errs, p.hostNetwork(at)...)
	errs = append(errs, p.policies(at)...)
	errs = append(errs, meta.Labels(s.NodeSelector, meta.Child(at, "nodeSelector"))...)
	errs = append(errs, p.securityContext(meta.Child(at, "securityContext"))...)
	if s.Affinity != nil {
		errs = append(errs, validateAffinity(s.Affinity, meta.Child(at, "affinity"))...)
	}
	errs = append(errs, p.dnsConfig(meta.Child(at, "dnsConfig"))...)
	errs = append(errs, validateGates(s, at)...)
	if len(s.TopologySpreadConstraints) > 0 {
		errs = append(errs, validateSpread(s.TopologySpreadConstraints, meta.Child(at, "topologySpreadConstraints"))...)
	}
	errs = append(errs, p.windowsHostProcess(at)...)
	errs = append(errs, p.hostUsers(at)...)
	errs = append(errs, validatePodNames(s, at)...)
	if len(s.Tolerations) > 0 {
		errs = append(errs, ValidateTolerations(s.Tolerations, meta.Child(at, "tolerations"))...)
	}
	errs = append(errs, validateHostAliases(s.HostAliases, meta.Child(at, "hostAliases"))...)
	if s.Overhead != nil {
		errs = append(errs, ValidateOverhead(s.Overhead, meta.Child(at, "overhead"))...)
	}
	if s.OS != nil {
		if e := validateOS(s.OS, meta.Child(at, "os")); len(e) > 0 {
			errs = append(errs, e...)
		} else {
			errs = append(errs, p.osFields(at)...)
		}
	}
	return errs
}

func (p *podChecks) policies(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	s := p.spec
	if s.RestartPolicy == "" {
		errs = append(errs, field.Required(at.Child("restartPolicy"), ""))
	} else {
		errs = append(errs, oneOf(at, "restartPolicy", s.RestartPolicy, restartPolicies)...)
	}
	if s.DNSPolicy == "" {
		errs = append(errs, field.Required(at.Child("dnsPolicy"), ""))
	} else {
		errs = append(errs, oneOf(at, "dnsPolicy", s.DNSPolicy, dnsPolicies)...)
	}
	if s.PreemptionPolicy != nil {
		errs = append(errs, ValidatePreemptionPolicy(*s.PreemptionPolicy, meta.Child(at, "preemptionPolicy"))...)
	}
	if d := s.ActiveDeadlineSeconds; d != nil && (*d < 1 || *d > math.MaxInt32) {
		errs = append(errs, field.Invalid(at.Child("activeDeadlineSeconds"), *d, utilvalidation.InclusiveRangeError(1, math.MaxInt32)))
	}
	return errs
}

// ValidatePreemptionPolicy checks whether a pod may push others out.
func ValidatePreemptionPolicy(v corev1.PreemptionPolicy, at *field.Path) field.ErrorList {
	if v == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	return supported(at, v, []corev1.PreemptionPolicy{corev1.PreemptLowerPriority, corev1.PreemptNever})
}

func validatePodNames(s *corev1.PodSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	name := func(child, value string, check func(string) []string) {
		if value == "" {
			return
		}
		if msgs := check(value); msgs != nil {
			errs = append(errs, meta.Invalids(meta.Child(at, child), value, msgs)...)
		}
	}
	name("serviceAccountName", s.ServiceAccountName, meta.DNSSubdomain)
	name("nodeName", s.NodeName, meta.DNSSubdomain)
	name("hostname", s.Hostname, meta.DNSLabel)
	name("subdomain", s.Subdomain, meta.DNSLabel)
	name("priorityClassName", s.PriorityClassName, meta.DNSSubdomain)
	if h := s.HostnameOverride; h != nil {
		errs = append(errs, meta.NameError(meta.Child(at, "hostnameOverride"), *h, meta.DNSSubdomain)...)
		if len(*h) > 64 {
			errs = append(errs, field.TooLong(at.Child("hostnameOverride"), *h, 64))
		}
		if s.HostNetwork {
			errs = append(errs, field.Forbidden(at.Child("hostnameOverride"), "may not be specified when hostNetwork is true"))
		}
		if s.SetHostnameAsFQDN != nil && *s.SetHostnameAsFQDN {
			errs = append(errs, field.Forbidden(at.Child("hostnameOverride"), "may not be specified when setHostnameAsFQDN is true"))
		}
	}
	if s.RuntimeClassName != nil {
		if msgs := meta.DNSSubdomain(*s.RuntimeClassName); msgs != nil {
			errs = append(errs, meta.Invalids(meta.Child(at, "runtimeClassName"), *s.RuntimeClassName, msgs)...)
		}
	}
	return errs
}

func validateGates(s *corev1.PodSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, g := range s.ReadinessGates {
		errs = append(errs, meta.NameError(meta.Child(meta.Index(meta.Child(at, "readinessGates"), i), "conditionType"), string(g.ConditionType), meta.QualifiedName)...)
	}
	var gates seen[string]
	for i, g := range s.SchedulingGates {
		idx := meta.Index(meta.Child(at, "schedulingGates"), i)
		errs = append(errs, meta.NameError(idx, g.Name, meta.QualifiedName)...)
		if gates.add(g.Name) {
			errs = append(errs, field.Duplicate(idx, g.Name))
		}
	}
	return errs
}

func (p *podChecks) hostNetwork(at *field.Path) field.ErrorList {
	if !p.spec.HostNetwork {
		return nil
	}
	var errs field.ErrorList
	for i := range p.spec.Containers {
		for j, port := range p.spec.Containers[i].Ports {
			if port.HostPort != port.ContainerPort && (port.HostPort != 0 || !p.template) {
				errs = append(errs, field.Invalid(at.Child("containers").Index(i).Child("ports").Index(j).Child("hostPort"), port.HostPort, "must match `containerPort` when `hostNetwork` is true"))
			}
		}
	}
	return errs
}

func (p *podChecks) dnsConfig(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	c := p.spec.DNSConfig
	if p.spec.DNSPolicy == corev1.DNSNone {
		if c == nil {
			return field.ErrorList{field.Required(at, "must provide `dnsConfig` when `dnsPolicy` is None")}
		}
		if len(c.Nameservers) == 0 {
			return field.ErrorList{field.Required(at.Child("nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is None")}
		}
	}
	if c == nil {
		return nil
	}
	if len(c.Nameservers) > 3 {
		errs = append(errs, field.Invalid(at.Child("nameservers"), c.Nameservers, "must not have more than 3 nameservers"))
	}
	for i, ns := range c.Nameservers {
		errs = append(errs, meta.IP(meta.Index(meta.Child(at, "nameservers"), i), ns)...)
	}
	if len(c.Searches) > 32 {
		errs = append(errs, field.Invalid(at.Child("searches"), c.Searches, "must not have more than 32 search paths"))
	}
	if size(c.Searches) > 2048 {
		errs = append(errs, field.Invalid(at.Child("searches"), c.Searches, "must not have more than 2048 characters (including spaces) in the search list"))
	}
	for i, s := range c.Searches {
		if s == "." {
			continue
		}
		s = strings.TrimSuffix(s, ".")
		errs = append(errs, meta.NameError(meta.Index(meta.Child(at, "searches"), i), s, utilvalidation.IsDNS1123SubdomainWithUnderscore)...)
	}
	for i, o := range c.Options {
		if o.Name == "" {
			errs = append(errs, field.Required(at.Child("options").Index(i), "must not be empty"))
		}
	}
	return errs
}

// size is how long the texts are with a space between each two.
func size(texts []string) int {
	n := max(len(texts)-1, 0)
	for _, t := range texts {
		n += len(t)
	}
	return n
}

func validateHostAliases(as []corev1.HostAlias, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, a := range as {
		errs = append(errs, meta.IP(meta.Child(meta.Index(at, i), "ip"), a.IP)...)
		for j, h := range a.Hostnames {
			errs = append(errs, meta.NameError(meta.Index(meta.Child(meta.Index(at, i), "hostnames"), j), h, meta.DNSSubdomain)...)
		}
	}
	return errs
}

func validateOS(os *corev1.PodOS, at *field.Path) field.ErrorList {
	if os.Name == "" {
		return field.ErrorList{field.Required(at.Child("name"), "")}
	}
	return supported(at, os.Name, []corev1.OSName{corev1.Linux, corev1.Windows})
}

// resourceClaims checks the pod's claims to devices, and notes their names.
func (p *podChecks) resourceClaims(at *field.Path) field.ErrorList {
	if len(p.spec.ResourceClaims) == 0 {
		return nil
	}
	var errs field.ErrorList
	p.claims = map[string]bool{}
	for i := range p.spec.ResourceClaims {
		c := &p.spec.ResourceClaims[i]
		idx := meta.Index(at, i)
		switch {
		case c.Name == "":
			errs = append(errs, field.Required(idx.Child("name"), ""))
		case p.claims[c.Name]:
			errs = append(errs, field.Duplicate(idx.Child("name"), c.Name))
		default:
			errs = append(errs, meta.NameError(meta.Child(idx, "name"), c.Name, meta.DNSLabel)...)
			p.claims[c.Name] = true
		}
		switch {
		case c.ResourceClaimName != nil && c.ResourceClaimTemplateName != nil:
			errs = append(errs, field.Invalid(idx, meta.GoNames(c), "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"))
		case c.ResourceClaimName == nil && c.ResourceClaimTemplateName == nil:
			errs = append(errs, field.Invalid(idx, meta.GoNames(c), "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"))
		}
		if c.ResourceClaimName != nil {
			errs = append(errs, meta.NameError(meta.Child(idx, "resourceClaimName"), *c.ResourceClaimName, meta.DNSSubdomain)...)
		}
		if c.ResourceClaimTemplateName != nil {
			errs = append(errs, meta.NameError(meta.Child(idx, "resourceClaimTemplateName"), *c.ResourceClaimTemplateName, meta.DNSSubdomain)...)
		}
	}
	return errs
}

// ephemeralContainers checks containers that were added to a running pod: they
// have no ports, probes, hooks or resources.
func (p *podChecks) ephemeralContainers(at *field.Path) field.ErrorList {
	if len(p.spec.EphemeralContainers) == 0 {
		return nil
	}
	var errs field.ErrorList
	var names seen[string]
	for i := range p.spec.EphemeralContainers {
		e := &p.spec.EphemeralContainers[i]
		idx := meta.Index(at, i)
		c := corev1.Container(e.EphemeralContainerCommon)
		errs = append(errs, p.container(&c, idx)...)
		if names.add(c.Name) || p.names.has(c.Name) {
			errs = append(errs, field.Duplicate(idx.Child("name"), c.Name))
		}
		if t := e.TargetContainerName; t != "" && !p.names.has(t) {
			errs = append(errs, field.NotFound(idx.Child("targetContainerName"), t))
		}
		for _, f := range []struct {
			name string
			set  bool
		}{
			{"ports", c.Ports != nil}, {"livenessProbe", c.LivenessProbe != nil}, {"readinessProbe", c.ReadinessProbe != nil},
			{"startupProbe", c.StartupProbe != nil}, {"lifecycle", c.Lifecycle != nil}, {"resizePolicy", c.ResizePolicy != nil},
			{"resources", c.Resources.Limits != nil || c.Resources.Requests != nil || c.Resources.Claims != nil},
			{"restartPolicy", c.RestartPolicy != nil}, {"restartPolicyRules", c.RestartPolicyRules != nil},
		} {
			if f.set {
				errs = append(errs, field.Forbidden(idx.Child(f.name), "cannot be set for an Ephemeral Container"))
			}
		}
		for j, m := range c.VolumeMounts {
			if m.SubPath != "" {
				errs = append(errs, field.Forbidden(idx.Child("volumeMounts").Index(j).Child("subPath"), "cannot be set for an Ephemeral Container"))
			}
			if m.SubPathExpr != "" {
				errs = append(errs, field.Forbidden(idx.Child("volumeMounts").Index(j).Child("subPathExpr"), "cannot be set for an Ephemeral Container"))
			}
		}
	}
	return errs
}

// validatePodAnnotations checks the annotations that mean something to Kubernetes.
func validatePodAnnotations(as map[string]string, s *corev1.PodSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if v, ok := as[corev1.MirrorPodAnnotationKey]; ok && s.NodeName == "" {
		errs = append(errs, field.Invalid(at.Key(corev1.MirrorPodAnnotationKey), v, "must set spec.nodeName if mirror pod annotation is set"))
	}
	if v, ok := as[corev1.PodDeletionCost]; ok && !isCost(v) {
		errs = append(errs, field.Invalid(at.Key(corev1.PodDeletionCost), v, "must be a 32bit integer"))
	}
	return append(errs, validateProfileAnnotations(as, s, at)...)
}

func isCost(v string) bool {
	var n int32
	_, err := fmt.Sscan(v, &n)
	return err == nil && fmt.Sprint(n) == v
}
