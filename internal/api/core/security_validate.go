package core

import (
	"fmt"
	"math"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var (
	seccompTypes  = []corev1.SeccompProfileType{corev1.SeccompProfileTypeLocalhost, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined}
	appArmorTypes = []corev1.AppArmorProfileType{corev1.AppArmorProfileTypeLocalhost, corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined}
)

func validateUser(id *int64, at *field.Path, child string) field.ErrorList {
	if id == nil || *id >= 0 && *id <= math.MaxInt32 {
		return nil
	}
	return meta.Invalids(meta.Child(at, child), *id, validation.IsValidUserID(*id))
}

func validateGroup(id int64, at *field.Path) field.ErrorList {
	if id >= 0 && id <= math.MaxInt32 {
		return nil
	}
	return meta.Invalids(at, id, validation.IsValidGroupID(id))
}

func validateSecurityContext(c *corev1.SecurityContext, spec *corev1.PodSpec, at *field.Path) field.ErrorList {
	errs := validateUser(c.RunAsUser, at, "runAsUser")
	errs = append(errs, validateUser(c.RunAsGroup, at, "runAsGroup")...)
	if c.ProcMount != nil {
		errs = append(errs, oneOf(at, "procMount", *c.ProcMount, []corev1.ProcMountType{corev1.DefaultProcMount, corev1.UnmaskedProcMount})...)
		if *c.ProcMount == corev1.UnmaskedProcMount && (spec.HostUsers == nil || *spec.HostUsers) {
			errs = append(errs, field.Invalid(at.Child("procMount"), *c.ProcMount, "`hostUsers` must be false to use `Unmasked`"))
		}
	}
	errs = append(errs, validateSeccomp(c.SeccompProfile, at)...)
	if c.AllowPrivilegeEscalation != nil && !*c.AllowPrivilegeEscalation {
		if c.Privileged != nil && *c.Privileged {
			errs = append(errs, field.Invalid(at, meta.GoNames(c), "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
		}
		if c.Capabilities != nil {
			for _, add := range c.Capabilities.Add {
				if add == "CAP_SYS_ADMIN" {
					errs = append(errs, field.Invalid(at, meta.GoNames(c), "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"))
				}
			}
		}
	}
	errs = append(errs, validateWindowsOptions(c.WindowsOptions, at)...)
	return append(errs, validateAppArmor(c.AppArmorProfile, at)...)
}

func validateSeccomp(p *corev1.SeccompProfile, at *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	at = meta.Child(at, "seccompProfile")
	var errs field.ErrorList
	if p.Type == "" {
		errs = append(errs, field.Required(at.Child("type"), "type is required when seccompProfile is set"))
	} else {
		errs = append(errs, oneOf(at, "type", p.Type, seccompTypes)...)
	}
	switch {
	case p.Type == corev1.SeccompProfileTypeLocalhost && p.LocalhostProfile == nil:
		errs = append(errs, field.Required(at.Child("localhostProfile"), "must be set when seccomp type is Localhost"))
	case p.Type == corev1.SeccompProfileTypeLocalhost:
		errs = append(errs, descendingPath(*p.LocalhostProfile, meta.Child(at, "localhostProfile"))...)
	case p.LocalhostProfile != nil:
		errs = append(errs, field.Invalid(at.Child("localhostProfile"), meta.GoNames(p), "can only be set when seccomp type is Localhost"))
	}
	return errs
}

func validateAppArmor(p *corev1.AppArmorProfile, at *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	at = meta.Child(at, "appArmorProfile")
	switch p.Type {
	case corev1.AppArmorProfileTypeLocalhost:
		at = meta.Child(at, "localhostProfile")
		if p.LocalhostProfile == nil {
			return field.ErrorList{field.Required(at, "must be set when AppArmor type is Localhost")}
		}
		var errs field.ErrorList
		if trimmed := strings.TrimSpace(*p.LocalhostProfile); trimmed != *p.LocalhostProfile {
			errs = append(errs, field.Invalid(at, *p.LocalhostProfile, "must not be padded with whitespace"))
		} else if trimmed == "" {
			errs = append(errs, field.Required(at, "must be set when AppArmor type is Localhost"))
		}
		if len(*p.LocalhostProfile) > 4095 {
			errs = append(errs, field.TooLong(at, *p.LocalhostProfile, 4095))
		}
		return errs
	case corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined:
		if p.LocalhostProfile != nil {
			return field.ErrorList{field.Invalid(at.Child("localhostProfile"), *p.LocalhostProfile, "can only be set when AppArmor type is Localhost")}
		}
		return nil
	case "":
		return field.ErrorList{field.Required(at.Child("type"), "type is required when appArmorProfile is set")}
	}
	return field.ErrorList{field.NotSupported(at.Child("type"), p.Type, appArmorTypes)}
}

func (p *podChecks) securityContext(at *field.Path) field.ErrorList {
	c := p.spec.SecurityContext
	if c == nil {
		return nil
	}
	var errs field.ErrorList
	if c.FSGroup != nil {
		errs = append(errs, validateGroup(*c.FSGroup, meta.Child(at, "fsGroup"))...)
	}
	errs = append(errs, validateUser(c.RunAsUser, at, "runAsUser")...)
	errs = append(errs, validateUser(c.RunAsGroup, at, "runAsGroup")...)
	for i, id := range c.SupplementalGroups {
		errs = append(errs, validateGroup(id, meta.Index(meta.Child(at, "supplementalGroups"), i))...)
	}
	if share := p.spec.ShareProcessNamespace; share != nil && *share && p.spec.HostPID {
		errs = append(errs, field.Invalid(at.Child("shareProcessNamespace"), *share, "ShareProcessNamespace and HostPID cannot both be enabled"))
	}
	errs = append(errs, p.sysctls(c.Sysctls, at)...)
	if c.FSGroupChangePolicy != nil {
		errs = append(errs, oneOf(at, "fsGroupChangePolicy", *c.FSGroupChangePolicy, []corev1.PodFSGroupChangePolicy{corev1.FSGroupChangeAlways, corev1.FSGroupChangeOnRootMismatch})...)
	}
	errs = append(errs, validateSeccomp(c.SeccompProfile, at)...)
	errs = append(errs, validateWindowsOptions(c.WindowsOptions, at)...)
	errs = append(errs, validateAppArmor(c.AppArmorProfile, at)...)
	if c.SupplementalGroupsPolicy != nil {
		errs = append(errs, oneOf(at, "supplementalGroupsPolicy", *c.SupplementalGroupsPolicy, []corev1.SupplementalGroupsPolicy{corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict})...)
	}
	if c.SELinuxChangePolicy != nil {
		errs = append(errs, oneOf(at, "seLinuxChangePolicy", *c.SELinuxChangePolicy, []corev1.PodSELinuxChangePolicy{corev1.SELinuxChangePolicyMountOption, corev1.SELinuxChangePolicyRecursive})...)
	}
	return errs
}

const sysctlText = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"

var sysctlRE = regexp.MustCompile(sysctlText)

func (p *podChecks) sysctls(list []corev1.Sysctl, at *field.Path) field.ErrorList {
	if len(list) == 0 {
		return nil
	}
	var errs field.ErrorList
	seen := map[string]bool{}
	for i := range list {
		path := meta.Child(meta.Index(meta.Child(at, "sysctls"), i), "name")
		name := list[i].Name
		normal := normalSysctl(name)
		switch {
		case name == "":
			errs = append(errs, field.Required(path, ""))
		case len(name) > 253 || !sysctlRE.MatchString(name):
			errs = append(errs, field.Invalid(path, name, fmt.Sprintf("must have at most %d characters and match regex %s", 253, sysctlText)))
		case seen[name]:
			errs = append(errs, field.Duplicate(path, name))
		}
		seen[name] = true
		if p.spec.HostNetwork && strings.HasPrefix(normal, "net.") {
			errs = append(errs, field.Invalid(path, name, "may not be specified when 'hostNetwork' is true"))
		}
		if p.spec.HostIPC && (strings.HasPrefix(normal, "kernel.shm") || strings.HasPrefix(normal, "kernel.msg") || normal == "kernel.sem" || strings.HasPrefix(normal, "fs.mqueue.")) {
			errs = append(errs, field.Invalid(path, name, "may not be specified when 'hostIPC' is true"))
		}
	}
	return errs
}

// normalSysctl writes a name with dots; with slashes first, its dots are slashes.
func normalSysctl(name string) string {
	if i := strings.IndexAny(name, "./"); i < 0 || name[i] == '.' {
		return name
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, name)
}

func (p *podChecks) hostUsers(at *field.Path) field.ErrorList {
	s := p.spec
	if s.HostUsers == nil || *s.HostUsers {
		return nil
	}
	var errs field.ErrorList
	const text = "when `hostUsers` is false"
	if s.HostNetwork {
		errs = append(errs, field.Forbidden(at.Child("hostNetwork"), text))
	}
	if s.HostPID {
		errs = append(errs, field.Forbidden(at.Child("HostPID"), text))
	}
	if s.HostIPC {
		errs = append(errs, field.Forbidden(at.Child("HostIPC"), text))
	}
	for i := range s.Containers {
		if len(s.Containers[i].VolumeDevices) > 0 {
			errs = append(errs, field.Forbidden(at.Child("containers").Index(i).Child("volumeDevices"), text))
		}
	}
	return errs
}
