package kubelet

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// sandboxConfig is the pod as the runtime's sandbox sees it.
func (k *Kubelet) sandboxConfig(pod *corev1.Pod, attempt uint32) *runtimeapi.PodSandboxConfig {
	c := &runtimeapi.PodSandboxConfig{
		Metadata:     &runtimeapi.PodSandboxMetadata{Name: pod.Name, Namespace: pod.Namespace, Uid: string(pod.UID), Attempt: attempt},
		Labels:       map[string]string{labelPodName: pod.Name, labelPodNamespace: pod.Namespace, labelPodUID: string(pod.UID)},
		Annotations:  map[string]string{},
		LogDirectory: k.logDir(pod.Namespace, pod.Name, pod.UID),
		DnsConfig:    k.dnsConfig(pod),
		Linux: &runtimeapi.LinuxPodSandboxConfig{
			CgroupParent: k.cgroups.parent(pod),
			SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
				NamespaceOptions: namespaces(pod), Privileged: privileged(pod),
				Seccomp: &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault},
			},
			Sysctls: map[string]string{},
		},
	}
	for key, v := range pod.Labels {
		if _, ours := c.Labels[key]; !ours {
			c.Labels[key] = v
		}
	}
	if !pod.Spec.HostNetwork {
		c.Hostname = hostname(pod)
		if pod.Spec.SetHostnameAsFQDN != nil && *pod.Spec.SetHostnameAsFQDN && pod.Spec.Subdomain != "" {
			c.Hostname = fmt.Sprintf("%s.%s.%s.svc.%s", hostname(pod), pod.Spec.Subdomain, pod.Namespace, k.ClusterDomain)
		}
		c.PortMappings = portMappings(pod)
	}
	if sc := pod.Spec.SecurityContext; sc != nil {
		s := c.Linux.SecurityContext
		if sc.RunAsUser != nil {
			s.RunAsUser = &runtimeapi.Int64Value{Value: *sc.RunAsUser}
		}
		if sc.RunAsGroup != nil && sc.RunAsUser != nil {
			s.RunAsGroup = &runtimeapi.Int64Value{Value: *sc.RunAsGroup}
		}
		s.SupplementalGroups = append(s.SupplementalGroups, sc.SupplementalGroups...)
		if sc.FSGroup != nil {
			s.SupplementalGroups = append(s.SupplementalGroups, *sc.FSGroup)
		}
		for _, ctl := range sc.Sysctls {
			c.Linux.Sysctls[ctl.Name] = ctl.Value
		}
	}
	return c
}

func hostname(pod *corev1.Pod) string {
	name := pod.Name
	if pod.Spec.Hostname != "" {
		name = pod.Spec.Hostname
	}
	if pod.Spec.HostnameOverride != nil {
		name = *pod.Spec.HostnameOverride
	}
	if len(name) > 63 {
		name = strings.TrimRight(name[:63], "-.")
	}
	return name
}

func privileged(pod *corev1.Pod) bool {
	for _, cs := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range cs {
			if sc := cs[i].SecurityContext; sc != nil && sc.Privileged != nil && *sc.Privileged {
				return true
			}
		}
	}
	return false
}

func namespaces(pod *corev1.Pod) *runtimeapi.NamespaceOption {
	n := &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER}
	if pod.Spec.HostNetwork {
		n.Network = runtimeapi.NamespaceMode_NODE
	}
	if pod.Spec.HostIPC {
		n.Ipc = runtimeapi.NamespaceMode_NODE
	}
	switch {
	case pod.Spec.HostPID:
		n.Pid = runtimeapi.NamespaceMode_NODE
	case pod.Spec.ShareProcessNamespace != nil && *pod.Spec.ShareProcessNamespace:
		n.Pid = runtimeapi.NamespaceMode_POD
	}
	return n
}

func portMappings(pod *corev1.Pod) []*runtimeapi.PortMapping {
	var out []*runtimeapi.PortMapping
	for _, c := range append(pod.Spec.InitContainers[:len(pod.Spec.InitContainers):len(pod.Spec.InitContainers)], pod.Spec.Containers...) {
		for _, p := range c.Ports {
			if p.HostPort == 0 {
				continue
			}
			m := &runtimeapi.PortMapping{HostPort: p.HostPort, ContainerPort: p.ContainerPort, HostIp: p.HostIP}
			switch p.Protocol {
			case corev1.ProtocolUDP:
				m.Protocol = runtimeapi.Protocol_UDP
			case corev1.ProtocolSCTP:
				m.Protocol = runtimeapi.Protocol_SCTP
			}
			out = append(out, m)
		}
	}
	return out
}

// dnsConfig is what the pod's resolv.conf says.
func (k *Kubelet) dnsConfig(pod *corev1.Pod) *runtimeapi.DNSConfig {
	policy := pod.Spec.DNSPolicy
	if policy == corev1.DNSClusterFirst && pod.Spec.HostNetwork || policy == corev1.DNSClusterFirstWithHostNet && k.ClusterDNS == "" {
		policy = corev1.DNSDefault
	}
	c := &runtimeapi.DNSConfig{}
	host := hostResolver()
	switch policy {
	case corev1.DNSNone:
	case corev1.DNSDefault:
		c.Servers, c.Searches, c.Options = host.servers, host.searches, host.options
	default:
		c.Servers = []string{k.ClusterDNS}
		c.Searches = append([]string{pod.Namespace + ".svc." + k.ClusterDomain, "svc." + k.ClusterDomain, k.ClusterDomain}, host.searches...)
		c.Options = []string{"ndots:5"}
	}
	if d := pod.Spec.DNSConfig; d != nil {
		c.Servers = appendNew(c.Servers, d.Nameservers)
		c.Searches = appendNew(c.Searches, d.Searches)
		for _, o := range d.Options {
			text := o.Name
			if o.Value != nil && *o.Value != "" {
				text += ":" + *o.Value
			}
			c.Options = replaceOption(c.Options, o.Name, text)
		}
	}
	return c
}

func appendNew(to, more []string) []string {
	for _, m := range more {
		found := false
		for _, t := range to {
			found = found || t == m
		}
		if !found {
			to = append(to, m)
		}
	}
	return to
}

func replaceOption(options []string, name, text string) []string {
	var out []string
	for _, o := range options {
		if n, _, _ := strings.Cut(o, ":"); n != name {
			out = append(out, o)
		}
	}
	return append(out, text)
}

type resolver struct{ servers, searches, options []string }

func hostResolver() resolver {
	var r resolver
	file := "/etc/resolv.conf"
	// systemd-resolved's stub is of no use inside a pod.
	if _, err := os.Stat("/run/systemd/resolve/resolv.conf"); err == nil {
		if b, err := os.ReadFile(file); err == nil && strings.Contains(string(b), "127.0.0.53") {
			file = "/run/systemd/resolve/resolv.conf"
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return r
	}
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			r.servers = append(r.servers, f[1])
		case "search":
			r.searches = f[1:]
		case "options":
			r.options = f[1:]
		}
	}
	return r
}

// containerConfig is a container as the runtime creates it.
func (w *worker) containerConfig(ctx context.Context, pod *corev1.Pod, c *corev1.Container, image *runtimeapi.Image, restarts int32) (*runtimeapi.ContainerConfig, error) {
	env, err := w.environment(ctx, pod, c)
	if err != nil {
		return nil, err
	}
	security, err := w.security(pod, c, image)
	if err != nil {
		return nil, err
	}
	mounts, err := w.mounts(pod, c, env)
	if err != nil {
		return nil, err
	}
	messageFile, err := w.messageFile(c.Name, restarts)
	if err != nil {
		return nil, err
	}
	if c.TerminationMessagePath != "" {
		mounts = append(mounts, &runtimeapi.Mount{ContainerPath: c.TerminationMessagePath, HostPath: messageFile})
	}
	logs := filepath.Join(w.k.logDir(pod.Namespace, pod.Name, pod.UID), c.Name)
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, err
	}
	config := &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: c.Name, Attempt: uint32(restarts)},
		Image:    &runtimeapi.ImageSpec{Image: image.Id, UserSpecifiedImage: c.Image},
		Command:  expandAll(c.Command, env), Args: expandAll(c.Args, env), WorkingDir: c.WorkingDir,
		Labels: map[string]string{labelPodName: pod.Name, labelPodNamespace: pod.Namespace, labelPodUID: string(pod.UID), labelContainerName: c.Name},
		Annotations: map[string]string{
			annotationHash: hash(c), annotationRestarts: strconv.Itoa(int(restarts)),
			annotationMessagePath: c.TerminationMessagePath, annotationMessagePolicy: string(c.TerminationMessagePolicy),
			annotationHostMessagePath: messageFile,
		},
		Mounts: mounts, LogPath: filepath.Join(c.Name, strconv.Itoa(int(restarts))+".log"),
		Stdin: c.Stdin, StdinOnce: c.StdinOnce, Tty: c.TTY,
		Linux: &runtimeapi.LinuxContainerConfig{Resources: w.k.resources(pod, c), SecurityContext: security},
	}
	for _, e := range env {
		config.Envs = append(config.Envs, &runtimeapi.KeyValue{Key: e.Name, Value: []byte(e.Value)})
	}
	return config, nil
}

// hash tells whether a container's definition changed in a way that needs a new run: its image.
func hash(c *corev1.Container) string {
	h := fnv.New32a()
	h.Write([]byte(c.Name + "\x00" + c.Image))
	return strconv.FormatUint(uint64(h.Sum32()), 16)
}

func hashes(pod *corev1.Pod) map[string]string {
	out := map[string]string{}
	for i := range pod.Spec.Containers {
		out[pod.Spec.Containers[i].Name] = hash(&pod.Spec.Containers[i])
	}
	for i := range pod.Spec.InitContainers {
		out[pod.Spec.InitContainers[i].Name] = hash(&pod.Spec.InitContainers[i])
	}
	return out
}

// The parts of /proc and /sys that a container does not see, or may not write.
var (
	maskedPaths = []string{"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// security is the container's security context, with what it inherits from the pod.
func (w *worker) security(pod *corev1.Pod, c *corev1.Container, image *runtimeapi.Image) (*runtimeapi.LinuxContainerSecurityContext, error) {
	ps, cs := pod.Spec.SecurityContext, c.SecurityContext
	if ps == nil {
		ps = &corev1.PodSecurityContext{}
	}
	if cs == nil {
		cs = &corev1.SecurityContext{}
	}
	s := &runtimeapi.LinuxContainerSecurityContext{
		NamespaceOptions: namespaces(pod), MaskedPaths: maskedPaths, ReadonlyPaths: readonlyPaths,
		Privileged:     deref(cs.Privileged),
		ReadonlyRootfs: deref(cs.ReadOnlyRootFilesystem),
		Seccomp:        seccomp(first(cs.SeccompProfile, ps.SeccompProfile)),
	}
	if cs.AllowPrivilegeEscalation != nil && !*cs.AllowPrivilegeEscalation {
		s.NoNewPrivs = true
	}
	if cs.ProcMount != nil && *cs.ProcMount == corev1.UnmaskedProcMount || s.Privileged {
		s.MaskedPaths, s.ReadonlyPaths = nil, nil
	}
	if cs.Capabilities != nil {
		s.Capabilities = &runtimeapi.Capability{}
		for _, a := range cs.Capabilities.Add {
			s.Capabilities.AddCapabilities = append(s.Capabilities.AddCapabilities, string(a))
		}
		for _, d := range cs.Capabilities.Drop {
			s.Capabilities.DropCapabilities = append(s.Capabilities.DropCapabilities, string(d))
		}
	}
	uid := first(cs.RunAsUser, ps.RunAsUser)
	switch {
	case uid != nil:
		s.RunAsUser = &runtimeapi.Int64Value{Value: *uid}
	case image.Uid != nil:
		s.RunAsUser = &runtimeapi.Int64Value{Value: image.Uid.Value}
	case image.Username != "":
		s.RunAsUsername = image.Username
	}
	if gid := first(cs.RunAsGroup, ps.RunAsGroup); gid != nil && (s.RunAsUser != nil || s.RunAsUsername != "") {
		s.RunAsGroup = &runtimeapi.Int64Value{Value: *gid}
	}
	s.SupplementalGroups = append(s.SupplementalGroups, ps.SupplementalGroups...)
	if ps.FSGroup != nil {
		s.SupplementalGroups = append(s.SupplementalGroups, *ps.FSGroup)
	}
	if nonRoot := first(cs.RunAsNonRoot, ps.RunAsNonRoot); deref(nonRoot) {
		switch {
		case uid != nil && *uid == 0:
			return nil, fmt.Errorf("container's runAsUser breaks non-root policy (pod: %q, container: %s)", pod.Name+"_"+pod.Namespace+"("+string(pod.UID)+")", c.Name)
		case uid == nil && image.Username != "":
			return nil, fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root (pod: %q, container: %s)", image.Username, pod.Name+"_"+pod.Namespace+"("+string(pod.UID)+")", c.Name)
		case uid == nil && (image.Uid == nil || image.Uid.Value == 0):
			return nil, fmt.Errorf("container has runAsNonRoot and image will run as root (pod: %q, container: %s)", pod.Name+"_"+pod.Namespace+"("+string(pod.UID)+")", c.Name)
		}
	}
	return s, nil
}

func seccomp(p *corev1.SeccompProfile) *runtimeapi.SecurityProfile {
	if p == nil {
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Unconfined}
	}
	switch p.Type {
	case corev1.SeccompProfileTypeRuntimeDefault:
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault}
	case corev1.SeccompProfileTypeLocalhost:
		ref := ""
		if p.LocalhostProfile != nil {
			ref = filepath.Join("/var/lib/kubelet/seccomp", *p.LocalhostProfile)
		}
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Localhost, LocalhostRef: ref}
	}
	return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Unconfined}
}

func deref(b *bool) bool { return b != nil && *b }

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// resources are the container's limits as cgroups know them.
func (k *Kubelet) resources(pod *corev1.Pod, c *corev1.Container) *runtimeapi.LinuxContainerResources {
	r := &runtimeapi.LinuxContainerResources{OomScoreAdj: oomScore(pod, c, k.machine.memory)}
	cpu, haveRequest := c.Resources.Requests[corev1.ResourceCPU]
	limit, haveLimit := c.Resources.Limits[corev1.ResourceCPU]
	if !haveRequest && haveLimit {
		cpu = limit
	}
	r.CpuShares = cpuShares(cpu.MilliValue())
	if haveLimit {
		r.CpuPeriod, r.CpuQuota = cpuPeriod, cpuQuota(limit.MilliValue())
	}
	if m, ok := c.Resources.Limits[corev1.ResourceMemory]; ok {
		r.MemoryLimitInBytes = m.Value()
	}
	return r
}

const cpuPeriod = 100000

func cpuShares(milli int64) int64 { return min(max(milli*1024/1000, 2), 262144) }
func cpuQuota(milli int64) int64  { return max(milli*cpuPeriod/1000, 1000) }

// oomScore makes the kernel spare guaranteed pods and take best-effort ones first.
func oomScore(pod *corev1.Pod, c *corev1.Container, memory int64) int64 {
	switch pod.Status.QOSClass {
	case corev1.PodQOSGuaranteed:
		return -997
	case corev1.PodQOSBestEffort:
		return 1000
	}
	request := c.Resources.Requests.Memory().Value()
	return min(max(1000-1000*request/max(memory, 1), 3), 999)
}
