package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func warnPod(next, old *corev1.Pod) []string {
	if old != nil && old.Generation == next.Generation {
		return nil
	}
	var w warnings
	if old == nil {
		if msgs := meta.DNSLabel(next.Name); len(msgs) > 0 && next.Name != "" {
			w = append(w, fmt.Sprintf("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: %v", msgs))
		}
	}
	w.annotations(&next.ObjectMeta, &next.Spec, false, nil)
	if old == nil {
		w.carried(next)
	}
	return append(w, warnPodSpec(&next.Spec, specPath)...)
}

// TemplateWarnings tells what is questionable in a template, and in the name of
// its owner, which its pods' names begin with.
func TemplateWarnings(owner string, t *corev1.PodTemplateSpec, at *field.Path) []string {
	var w warnings
	if msgs := meta.DNSLabel(owner); len(msgs) > 0 && owner != "" {
		w = append(w, fmt.Sprintf("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: %v", msgs))
	}
	w.annotations(&t.ObjectMeta, &t.Spec, true, at)
	return append(w, warnPodSpec(&t.Spec, at.Child("spec"))...)
}

// deprecatedNodeLabels are labels of nodes under their old names, and what to use instead.
var deprecatedNodeLabels = map[string]string{
	"beta.kubernetes.io/arch":                  `deprecated since v1.14; use "kubernetes.io/arch" instead`,
	"beta.kubernetes.io/os":                    `deprecated since v1.14; use "kubernetes.io/os" instead`,
	"failure-domain.beta.kubernetes.io/region": `deprecated since v1.17; use "topology.kubernetes.io/region" instead`,
	"failure-domain.beta.kubernetes.io/zone":   `deprecated since v1.17; use "topology.kubernetes.io/zone" instead`,
	"beta.kubernetes.io/instance-type":         `deprecated since v1.17; use "node.kubernetes.io/instance-type" instead`,
}

// warnings are texts for the writer of an object. Nobody reads more than there may be.
type warnings []string

const mostWarnings = 200

func (w *warnings) full() bool { return len(*w) >= mostWarnings }

func (w *warnings) add(at *field.Path, text string) {
	if !w.full() {
		*w = append(*w, at.String()+": "+text)
	}
}

// warnPodSpec makes paths only when there is something to tell (see meta.Checked).
func warnPodSpec(s *corev1.PodSpec, at *field.Path) []string {
	if len(podSpecWarnings(s, nil)) == 0 {
		return nil
	}
	return podSpecWarnings(s, at)
}

const nullSelector = "a null labelSelector results in matching no pod"

func podSpecWarnings(s *corev1.PodSpec, at *field.Path) warnings {
	var w warnings
	for k := range s.NodeSelector {
		if text, ok := deprecatedNodeLabels[k]; ok {
			w.add(at.Child("nodeSelector").Key(k), text)
		}
	}
	if s.Affinity != nil {
		w.affinity(s.Affinity, meta.Child(at, "affinity"))
	}
	for i := range s.TopologySpreadConstraints {
		c := &s.TopologySpreadConstraints[i]
		idx := meta.Index(meta.Child(at, "topologySpreadConstraints"), i)
		if text, ok := deprecatedNodeLabels[c.TopologyKey]; ok {
			w.add(idx.Child("topologyKey"), c.TopologyKey+" is "+text)
		}
		if c.LabelSelector == nil {
			w.add(idx.Child("labelSelector"), nullSelector)
		}
	}
	w.lists(s, at)
	if g := s.TerminationGracePeriodSeconds; g != nil && *g < 0 {
		w.add(at.Child("terminationGracePeriodSeconds"), "must be >= 0; negative values are invalid and will be treated as 1")
	}
	for i := range s.Volumes {
		w.volume(&s.Volumes[i], meta.Index(meta.Child(at, "volumes"), i))
	}
	for i := range s.InitContainers {
		w.container(&s.InitContainers[i], meta.Index(meta.Child(at, "initContainers"), i))
	}
	for i := range s.Containers {
		w.container(&s.Containers[i], meta.Index(meta.Child(at, "containers"), i))
	}
	w.ports(s, at)
	w.fractions(s.Overhead, meta.Child(at, "overhead"))
	return w
}

// affinity tells of labels under their old names, of values that no label has, and of selectors that are null.
func (w *warnings) affinity(a *corev1.Affinity, at *field.Path) {
	if n := a.NodeAffinity; n != nil {
		path := meta.Child(at, "nodeAffinity")
		if r := n.RequiredDuringSchedulingIgnoredDuringExecution; r != nil {
			w.nodeSelector(r, meta.Child(path, duringScheduling))
		}
		for i := range n.PreferredDuringSchedulingIgnoredDuringExecution {
			w.nodeTerm(&n.PreferredDuringSchedulingIgnoredDuringExecution[i].Preference, true, meta.Child(meta.Index(meta.Child(path, ifPossible), i), "preference"))
		}
	}
	if p := a.PodAffinity; p != nil {
		w.podTerms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, meta.Child(at, "podAffinity"))
	}
	if p := a.PodAntiAffinity; p != nil {
		w.podTerms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, meta.Child(at, "podAntiAffinity"))
	}
}

func (w *warnings) nodeSelector(s *corev1.NodeSelector, at *field.Path) {
	for i := range s.NodeSelectorTerms {
		w.nodeTerm(&s.NodeSelectorTerms[i], false, meta.Index(meta.Child(at, "nodeSelectorTerms"), i))
	}
}

func (w *warnings) nodeTerm(t *corev1.NodeSelectorTerm, values bool, at *field.Path) {
	for i := range t.MatchExpressions {
		e, idx := &t.MatchExpressions[i], meta.Index(meta.Child(at, "matchExpressions"), i)
		if text, ok := deprecatedNodeLabels[e.Key]; ok {
			w.add(idx.Child("key"), e.Key+" is "+text)
		}
		if !values {
			continue
		}
		for j, v := range e.Values {
			for _, msg := range meta.LabelValue(v) {
				w.add(idx.Child("values").Index(j), v+" is invalid, "+msg)
			}
		}
	}
}

func (w *warnings) podTerms(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm, at *field.Path) {
	for i := range required {
		if required[i].LabelSelector == nil {
			w.add(at.Child(duringScheduling).Index(i).Child("labelSelector"), nullSelector)
		}
	}
	for i := range preferred {
		if preferred[i].PodAffinityTerm.LabelSelector == nil {
			w.add(at.Child(ifPossible).Index(i).Child("podAffinityTerm", "labelSelector"), nullSelector)
		}
	}
}

// lists tells of what is named twice, or in a form that is not the usual one.
func (w *warnings) lists(s *corev1.PodSpec, at *field.Path) {
	if len(s.ImagePullSecrets) > 0 {
		var names seen[string]
		for i := range s.ImagePullSecrets {
			if name := s.ImagePullSecrets[i].Name; names.add(name) {
				w.add(at.Child("imagePullSecrets").Index(i).Child("name"), fmt.Sprintf("duplicate name %q", name))
			}
		}
		for i := range s.ImagePullSecrets {
			if s.ImagePullSecrets[i].Name == "" {
				w.add(at.Child("imagePullSecrets").Index(i).Child("name"), `invalid empty name ""`)
			}
		}
	}
	if len(s.HostAliases) > 0 {
		var ips seen[string]
		for i := range s.HostAliases {
			ip, path := s.HostAliases[i].IP, meta.Child(meta.Index(meta.Child(at, "hostAliases"), i), "ip")
			if ips.add(ip) {
				w.add(path, fmt.Sprintf("duplicate ip %q", ip))
			}
			w.address(ip, path)
		}
	}
	if c := s.DNSConfig; c != nil {
		for i, ip := range c.Nameservers {
			w.address(ip, meta.Index(meta.Child(at, "dnsConfig", "nameservers"), i))
		}
	}
}

func (w *warnings) address(ip string, at *field.Path) {
	if !meta.CanonicalIP(ip) && !w.full() {
		*w = append(*w, validation.GetWarningsForIP(at, ip)...)
	}
}

func (w *warnings) container(c *corev1.Container, at *field.Path) {
	if len(c.Env) > 1 {
		var names seen[string]
		for i := range c.Env {
			e := &c.Env[i]
			if !names.add(e.Name) {
				continue
			}
			// A value may add to the one before by naming itself.
			if self := "$(" + e.Name + ")"; e.ValueFrom != nil || e.Value == self || !strings.Contains(e.Value, self) {
				w.add(at.Child("env").Index(i), fmt.Sprintf("hides previous definition of %q, which may be dropped when using apply", e.Name))
			}
		}
	}
	w.fractions(c.Resources.Limits, meta.Child(at, "resources", "limits"))
	w.fractions(c.Resources.Requests, meta.Child(at, "resources", "requests"))
}

// fractions tells of parts of bytes.
func (w *warnings) fractions(l corev1.ResourceList, at *field.Path) {
	for name, q := range l {
		if (name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage) && q.MilliValue()%1000 != 0 {
			w.add(at.Key(string(name)), fmt.Sprintf("fractional byte value %q is invalid, must be an integer", q.String()))
		}
	}
}

const (
	seccompContainer  = "container.seccomp.security.alpha.kubernetes.io/"
	appArmorContainer = corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix
)

// annotations tells of those that have become fields, unless the field is there too.
func (w *warnings) annotations(m *metav1.ObjectMeta, s *corev1.PodSpec, template bool, at *field.Path) {
	var found warnings
	tell := func(key, text string) { found.add(at.Child("metadata", "annotations").Key(key), text) }
	var seccomp, appArmor bool
	var by securityIndex
	if c := s.SecurityContext; c != nil {
		seccomp, appArmor = c.SeccompProfile != nil, c.AppArmorProfile != nil
	}
	for k := range m.Annotations {
		switch k {
		case "scheduler.alpha.kubernetes.io/critical-pod":
			tell(k, `non-functional in v1.16+; use the "priorityClassName" field instead`)
		case "security.alpha.kubernetes.io/sysctls", "security.alpha.kubernetes.io/unsafe-sysctls":
			tell(k, `non-functional in v1.11+; use the "sysctls" field instead`)
		case "seccomp.security.alpha.kubernetes.io/pod":
			if !seccomp {
				tell(k, `non-functional in v1.27+; use the "seccompProfile" field instead`)
			}
		}
		if name, ok := strings.CutPrefix(k, seccompContainer); ok {
			if c, there := by.find(s, name); there && (c == nil || c.SeccompProfile == nil) {
				tell(k, `non-functional in v1.27+; use the "seccompProfile" field instead`)
			}
		}
		if name, ok := strings.CutPrefix(k, appArmorContainer); ok && template && !appArmor {
			if c, there := by.find(s, name); there && (c == nil || c.AppArmorProfile == nil) {
				tell(k, `deprecated since v1.30; use the "appArmorProfile" field instead`)
			}
		}
	}
	slices.Sort(found)
	*w = append(*w, found...)
}

// securityIndex finds the security context of the container of a name, which may have
// none. It is made when somebody asks first.
type securityIndex map[string]*corev1.SecurityContext

func (x *securityIndex) find(s *corev1.PodSpec, name string) (c *corev1.SecurityContext, there bool) {
	if *x == nil {
		*x = make(securityIndex, len(s.Containers)+len(s.InitContainers))
		for _, cs := range [][]corev1.Container{s.Containers, s.InitContainers} {
			for i := range cs {
				(*x)[cs[i].Name] = cs[i].SecurityContext
			}
		}
	}
	c, there = (*x)[name]
	return c, there
}
