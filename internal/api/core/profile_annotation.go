package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// Before there were fields for them, annotations named the AppArmor and seccomp profiles
// of containers. Those of AppArmor still count, as the fields of new pods; those of
// seccomp do nothing, but have to make sense.

const (
	seccompPod       = "seccomp.security.alpha.kubernetes.io/pod"
	runtimeProfile   = "runtime/default"
	dockerProfile    = "docker/default"
	noProfile        = "unconfined"
	localProfile     = "localhost/"
	appArmorMismatch = "apparmor type in annotation and field must match"
	seccompMismatch  = "seccomp type in annotation and field must match"
)

// carryAppArmor gives containers of a new pod the profiles that its annotations name.
// compat: nothing is carried the other way, and only what differs from the pod's profile.
func carryAppArmor(p *corev1.Pod) {
	if !namesProfiles(p.Annotations) || isWindows(&p.Spec) {
		return
	}
	var whole *corev1.AppArmorProfile
	if c := p.Spec.SecurityContext; c != nil {
		whole = c.AppArmorProfile
	}
	carry := func(name string, c **corev1.SecurityContext) {
		text, ok := p.Annotations[appArmorContainer+name]
		if !ok || *c != nil && (*c).AppArmorProfile != nil {
			return
		}
		is := appArmorOf(text)
		if is == nil || len(validateAppArmor(is, nil)) > 0 || whole != nil && meta.Equal(is, whole) {
			return
		}
		if *c == nil {
			*c = &corev1.SecurityContext{}
		}
		(*c).AppArmorProfile = is
	}
	for i := range p.Spec.InitContainers {
		carry(p.Spec.InitContainers[i].Name, &p.Spec.InitContainers[i].SecurityContext)
	}
	for i := range p.Spec.Containers {
		carry(p.Spec.Containers[i].Name, &p.Spec.Containers[i].SecurityContext)
	}
}

// carried warns of the annotations that gave containers their profiles, and of those that could not.
// compat: who writes annotation and field is not to be told from who wrote the annotation alone.
func (w *warnings) carried(p *corev1.Pod) {
	if !namesProfiles(p.Annotations) || isWindows(&p.Spec) {
		return
	}
	for _, cs := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range cs {
			text, ok := p.Annotations[appArmorContainer+cs[i].Name]
			if !ok {
				continue
			}
			is, c := appArmorOf(text), cs[i].SecurityContext
			has := c != nil && c.AppArmorProfile != nil
			if has && is != nil && meta.Equal(is, c.AppArmorProfile) || !has && (is == nil || len(validateAppArmor(is, nil)) > 0) {
				w.add(annotationsPath.Key(appArmorContainer+cs[i].Name), `deprecated since v1.30; use the "appArmorProfile" field instead`)
			}
		}
	}
}

func namesProfiles(as map[string]string) bool {
	for k := range as {
		if strings.HasPrefix(k, appArmorContainer) {
			return true
		}
	}
	return false
}

func isWindows(s *corev1.PodSpec) bool { return s.OS != nil && s.OS.Name == corev1.Windows }

// appArmorOf is the profile that an annotation means; nil: none.
func appArmorOf(text string) *corev1.AppArmorProfile {
	switch text {
	case noProfile:
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}
	case runtimeProfile:
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}
	}
	if name, ok := strings.CutPrefix(text, localProfile); ok && name != "" {
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost, LocalhostProfile: &name}
	}
	return nil
}

// validateProfileAnnotations checks what the annotations say.
func validateProfileAnnotations(as map[string]string, s *corev1.PodSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	var by securityIndex
	for _, k := range special(as, isProfile) {
		v := as[k]
		if k == seccompPod || strings.HasPrefix(k, seccompContainer) {
			errs = append(errs, validateSeccompText(v, at.Child(k))...)
		}
		name, ok := strings.CutPrefix(k, appArmorContainer)
		if !ok {
			continue
		}
		ephemeral := func(c corev1.EphemeralContainer) bool { return c.Name == name }
		if _, there := by.find(s, name); !there && !slices.ContainsFunc(s.EphemeralContainers, ephemeral) {
			errs = append(errs, field.Invalid(at.Key(k), name, "container not found"))
		}
		if v != "" && v != runtimeProfile && v != noProfile && !strings.HasPrefix(v, localProfile) {
			errs = append(errs, field.Invalid(at.Key(k), v, fmt.Sprintf("invalid AppArmor profile name: %q", v)))
		}
	}
	return errs
}

// special are the keys of one sort, in order; none costs nothing.
func special(as map[string]string, is func(string) bool) []string {
	var keys []string
	for k := range as {
		if is(k) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func isProfile(k string) bool {
	return k == seccompPod || strings.HasPrefix(k, seccompContainer) || strings.HasPrefix(k, appArmorContainer)
}

// isKept tells which annotations stay with a pod as they are.
func isKept(k string) bool {
	return k == corev1.MirrorPodAnnotationKey || strings.HasPrefix(k, appArmorContainer)
}

func validateSeccompText(v string, at *field.Path) field.ErrorList {
	switch v {
	case runtimeProfile, dockerProfile, noProfile:
		return nil
	}
	if name, ok := strings.CutPrefix(v, localProfile); ok {
		return descendingPath(name, at)
	}
	return field.ErrorList{field.Invalid(at, v, "must be a valid seccomp profile")}
}

// validateProfilesMatch checks that annotations and fields do not contradict each other.
func validateProfilesMatch(as map[string]string, s *corev1.PodSpec, at *field.Path) field.ErrorList {
	if len(special(as, isProfile)) == 0 {
		return nil
	}
	var errs field.ErrorList
	if v, ok := as[seccompPod]; ok && s.SecurityContext != nil && s.SecurityContext.SeccompProfile != nil {
		errs = append(errs, matchSeccomp(v, s.SecurityContext.SeccompProfile, at.Child("securityContext", "seccompProfile"))...)
	}
	container := func(name string, c *corev1.SecurityContext, at *field.Path) {
		if c == nil {
			return
		}
		if v, ok := as[seccompContainer+name]; ok && c.SeccompProfile != nil {
			errs = append(errs, matchSeccomp(v, c.SeccompProfile, at.Child("securityContext", "seccompProfile"))...)
		}
		if v, ok := as[appArmorContainer+name]; ok && c.AppArmorProfile != nil && !isWindows(s) {
			errs = append(errs, matchAppArmor(v, c.AppArmorProfile, at.Child("securityContext", "appArmorProfile"))...)
		}
	}
	for i := range s.InitContainers {
		container(s.InitContainers[i].Name, s.InitContainers[i].SecurityContext, meta.Index(meta.Child(at, "initContainers"), i))
	}
	for i := range s.Containers {
		container(s.Containers[i].Name, s.Containers[i].SecurityContext, meta.Index(meta.Child(at, "containers"), i))
	}
	return errs
}

func matchSeccomp(v string, p *corev1.SeccompProfile, at *field.Path) field.ErrorList {
	name, local := strings.CutPrefix(v, localProfile)
	same := true
	switch p.Type {
	case corev1.SeccompProfileTypeUnconfined:
		same = v == noProfile
	case corev1.SeccompProfileTypeRuntimeDefault:
		same = v == runtimeProfile || v == dockerProfile
	case corev1.SeccompProfileTypeLocalhost:
		same = local
		if local && (p.LocalhostProfile == nil || *p.LocalhostProfile != name) {
			return field.ErrorList{field.Forbidden(at.Child("localhostProfile"), "seccomp profile in annotation and field must match")}
		}
	}
	if same {
		return nil
	}
	return field.ErrorList{field.Forbidden(at.Child("type"), seccompMismatch)}
}

func matchAppArmor(v string, p *corev1.AppArmorProfile, at *field.Path) field.ErrorList {
	name, local := strings.CutPrefix(v, localProfile)
	same := true
	switch p.Type {
	case corev1.AppArmorProfileTypeUnconfined:
		same = v == noProfile
	case corev1.AppArmorProfileTypeRuntimeDefault:
		same = v == runtimeProfile
	case corev1.AppArmorProfileTypeLocalhost:
		same = local
		if local && (p.LocalhostProfile == nil || *p.LocalhostProfile != name) {
			return field.ErrorList{field.Forbidden(at.Child("localhostProfile"), "apparmor profile in annotation and field must match")}
		}
	}
	if same {
		return nil
	}
	return field.ErrorList{field.Forbidden(at.Child("type"), appArmorMismatch)}
}

// validateAnnotationUpdate keeps what a pod runs under, and whether it is a mirror.
func validateAnnotationUpdate(next, old map[string]string) field.ErrorList {
	var errs field.ErrorList
	what := func(k string) string {
		if k == corev1.MirrorPodAnnotationKey {
			return "mirror pod annotation"
		}
		return "AppArmor annotations"
	}
	for _, k := range special(old, isKept) {
		if v, ok := next[k]; !ok || v != old[k] {
			errs = append(errs, field.Forbidden(annotationsPath.Key(k), "may not remove or update "+what(k)))
		}
	}
	for _, k := range special(next, isKept) {
		if _, had := old[k]; !had {
			errs = append(errs, field.Forbidden(annotationsPath.Key(k), "may not add "+what(k)))
		}
	}
	return errs
}
