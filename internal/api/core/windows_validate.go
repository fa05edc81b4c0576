package core

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func validateWindowsOptions(o *corev1.WindowsSecurityContextOptions, at *field.Path) field.ErrorList {
	if o == nil {
		return nil
	}
	at = meta.Child(at, "windowsOptions")
	var errs field.ErrorList
	if n := o.GMSACredentialSpecName; n != nil {
		errs = append(errs, meta.Invalids(meta.Child(at, "gmsaCredentialSpecName"), n, meta.DNSSubdomain(*n))...)
	}
	if s := o.GMSACredentialSpec; s != nil {
		if *s == "" {
			errs = append(errs, field.Invalid(at.Child("gmsaCredentialSpec"), *s, "gmsaCredentialSpec cannot be an empty string"))
		} else if len(*s) > 64*1024 {
			errs = append(errs, field.Invalid(at.Child("gmsaCredentialSpec"), *s, "gmsaCredentialSpec size must be under 64 KiB"))
		}
	}
	if u := o.RunAsUserName; u != nil {
		errs = append(errs, meta.Invalids(meta.Child(at, "runAsUserName"), u, userNameErrors(*u))...)
	}
	return errs
}

var (
	netBIOSRE   = regexp.MustCompile(`^[^\\/:\*\?"<>|\.][^\\/:\*\?"<>|]{0,14}$`)
	dnsDomainRE = regexp.MustCompile(`^[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)*$`)
)

// userNameErrors says what is wrong with a user of Windows: user or domain\user.
func userNameErrors(name string) []string {
	domain, user, split := strings.Cut(name, `\`)
	if !split {
		domain, user = "", name
	}
	switch {
	case name == "":
		return []string{"runAsUserName cannot be an empty string"}
	case strings.ContainsFunc(name, func(r rune) bool { return r < 32 || r == 127 }):
		return []string{"runAsUserName cannot contain control characters"}
	case strings.Contains(user, `\`):
		return []string{"runAsUserName cannot contain more than one backslash"}
	}
	var errs []string
	if len(domain) >= 256 {
		errs = append(errs, "runAsUserName's Domain length must be under 256 characters")
	}
	if split && !netBIOSRE.MatchString(domain) && !dnsDomainRE.MatchString(domain) {
		errs = append(errs, "runAsUserName's Domain doesn't match the NetBios nor the DNS format")
	}
	switch {
	case user == "":
		errs = append(errs, "runAsUserName's User cannot be empty")
	case len(user) > 104:
		errs = append(errs, "runAsUserName's User length must not be longer than 104 characters")
	}
	if user != "" && strings.Trim(user, ". ") == "" {
		errs = append(errs, "runAsUserName's User cannot contain only periods or spaces")
	}
	if strings.ContainsAny(user, `"/\:;|=,+*?<>@[]`) {
		errs = append(errs, `runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]`)
	}
	return errs
}

// windowsHostProcess checks that host-process containers are not mixed with others.
func (p *podChecks) windowsHostProcess(at *field.Path) field.ErrorList {
	s := p.spec
	var ofPod *bool
	if s.SecurityContext != nil && s.SecurityContext.WindowsOptions != nil {
		ofPod = s.SecurityContext.WindowsOptions.HostProcess
	}
	some, all := false, true
	var errs field.ErrorList
	for _, l := range []struct {
		name string
		cs   []corev1.Container
	}{{"containers", s.Containers}, {"initContainers", s.InitContainers}} {
		for i := range l.cs {
			v := ofPod
			if c := l.cs[i].SecurityContext; c != nil && c.WindowsOptions != nil && c.WindowsOptions.HostProcess != nil {
				v = c.WindowsOptions.HostProcess
				if ofPod != nil && *ofPod != *v {
					errs = append(errs, field.Invalid(at.Child(l.name).Index(i).Child("securityContext", "windowsOptions", "hostProcess"), *v, fmt.Sprintf("pod hostProcess value must be identical if both are specified, was %v", *ofPod)))
				}
			}
			on := v != nil && *v
			some, all = some || on, all && on
		}
	}
	if !some {
		return errs
	}
	if !all {
		errs = append(errs, field.Invalid(at, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers"))
	}
	if !s.HostNetwork {
		errs = append(errs, field.Invalid(at.Child("hostNetwork"), false, "hostNetwork must be true if pod contains any hostProcess containers"))
	}
	return errs
}

// setField is a field that a pod for one operating system may not set.
type setField struct {
	name string
	set  bool
}

// osFields refuses what the pod's operating system does not have.
func (p *podChecks) osFields(at *field.Path) field.ErrorList {
	s := p.spec
	text, windows := "windows options cannot be set for a linux pod", s.OS.Name == corev1.Windows
	if windows {
		text = "cannot be set for a windows pod"
	}
	var errs field.ErrorList
	refuse := func(at *field.Path, fields ...setField) {
		for _, f := range fields {
			if f.set {
				errs = append(errs, field.Forbidden(at.Child(f.name), text))
			}
		}
	}
	if c, path := s.SecurityContext, meta.Child(at, "securityContext"); c != nil && !windows {
		refuse(path, setField{"windowsOptions", c.WindowsOptions != nil})
	} else if c != nil {
		refuse(path, setField{"appArmorProfile", c.AppArmorProfile != nil}, setField{"seLinuxOptions", c.SELinuxOptions != nil}, setField{"seccompProfile", c.SeccompProfile != nil},
			setField{"fsGroup", c.FSGroup != nil}, setField{"fsGroupChangePolicy", c.FSGroupChangePolicy != nil}, setField{"sysctls", len(c.Sysctls) > 0},
			setField{"runAsUser", c.RunAsUser != nil}, setField{"runAsGroup", c.RunAsGroup != nil}, setField{"supplementalGroups", c.SupplementalGroups != nil},
			setField{"supplementalGroupsPolicy", c.SupplementalGroupsPolicy != nil}, setField{"seLinuxChangePolicy", c.SELinuxChangePolicy != nil})
	}
	if windows {
		refuse(at, setField{"hostUsers", s.HostUsers != nil}, setField{"hostPID", s.HostPID}, setField{"hostIPC", s.HostIPC}, setField{"shareProcessNamespace", s.ShareProcessNamespace != nil})
	}
	container := func(list string, i int, c *corev1.SecurityContext) {
		path := meta.Child(meta.Index(meta.Child(at, list), i), "securityContext")
		if c != nil && !windows {
			refuse(path, setField{"windowsOptions", c.WindowsOptions != nil})
		} else if c != nil {
			refuse(path, setField{"appArmorProfile", c.AppArmorProfile != nil}, setField{"seLinuxOptions", c.SELinuxOptions != nil}, setField{"seccompProfile", c.SeccompProfile != nil},
				setField{"capabilities", c.Capabilities != nil}, setField{"readOnlyRootFilesystem", c.ReadOnlyRootFilesystem != nil}, setField{"privileged", c.Privileged != nil},
				setField{"allowPrivilegeEscalation", c.AllowPrivilegeEscalation != nil}, setField{"procMount", c.ProcMount != nil},
				setField{"runAsUser", c.RunAsUser != nil}, setField{"runAsGroup", c.RunAsGroup != nil})
		}
	}
	for i := range s.InitContainers {
		container("initContainers", i, s.InitContainers[i].SecurityContext)
	}
	for i := range s.Containers {
		container("containers", i, s.Containers[i].SecurityContext)
	}
	for i := range s.EphemeralContainers {
		container("ephemeralContainers", i, s.EphemeralContainers[i].SecurityContext)
	}
	return errs
}
