package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/skiff-k8s/skiff/internal/client"
)

// volumeDir is where a volume is made, by the kind of volume as upstream has it.
func (w *worker) volumeDir(kind, name string) string {
	return filepath.Join(w.k.podDir(w.uid), "volumes", "kubernetes.io~"+kind, name)
}

// volumePaths is where each volume of the pod is on this host.
func (w *worker) volumePaths(pod *corev1.Pod) map[string]string {
	out := map[string]string{}
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		switch {
		case v.HostPath != nil:
			out[v.Name] = v.HostPath.Path
		case v.EmptyDir != nil:
			out[v.Name] = w.volumeDir("empty-dir", v.Name)
		case v.ConfigMap != nil:
			out[v.Name] = w.volumeDir("configmap", v.Name)
		case v.Secret != nil:
			out[v.Name] = w.volumeDir("secret", v.Name)
		case v.DownwardAPI != nil:
			out[v.Name] = w.volumeDir("downward-api", v.Name)
		case v.Projected != nil:
			out[v.Name] = w.volumeDir("projected", v.Name)
		}
	}
	return out
}

// mount makes the pod's volumes ready. An event tells when that fails; the worker tries again.
func (w *worker) mount(ctx context.Context, pod *corev1.Pod) error {
	if w.mounted {
		return nil
	}
	paths := w.volumePaths(pod)
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if err := w.mountOne(ctx, pod, v, paths); err != nil {
			w.k.event(pod, "", corev1.EventTypeWarning, "FailedMount", "MountVolume.SetUp failed for volume %q : %v", v.Name, err)
			return fmt.Errorf("volume %s: %w", v.Name, err)
		}
	}
	if err := w.writeHosts(pod); err != nil {
		return err
	}
	w.volumes, w.mounted = paths, true
	return nil
}

func (w *worker) mountOne(ctx context.Context, pod *corev1.Pod, v *corev1.Volume, paths map[string]string) error {
	switch {
	case v.HostPath != nil:
		return checkHostPath(v.HostPath)
	case v.EmptyDir != nil:
		return mountEmptyDir(paths[v.Name], v.EmptyDir, pod)
	case v.PersistentVolumeClaim != nil:
		dir, err := w.claimPath(ctx, pod, v.PersistentVolumeClaim.ClaimName)
		if err == nil {
			paths[v.Name] = dir
		}
		return err
	case paths[v.Name] != "":
		return w.writeFiles(ctx, pod, v, paths[v.Name])
	}
	return errors.New("volumes of this type are not supported by this kubelet yet")
}

// claimPath is the directory behind a claim that is bound to a local or hostPath volume.
func (w *worker) claimPath(ctx context.Context, pod *corev1.Pod, name string) (string, error) {
	claim, err := client.Get[*corev1.PersistentVolumeClaim](ctx, w.k.Client, pod.Namespace, name)
	if err != nil {
		return "", err
	}
	if claim.Status.Phase != corev1.ClaimBound || claim.Spec.VolumeName == "" {
		return "", fmt.Errorf("persistentvolumeclaim %q is not bound", name)
	}
	pv, err := client.Get[*corev1.PersistentVolume](ctx, w.k.Client, "", claim.Spec.VolumeName)
	if err != nil {
		return "", err
	}
	switch {
	case pv.Spec.HostPath != nil:
		return pv.Spec.HostPath.Path, checkHostPath(pv.Spec.HostPath)
	case pv.Spec.Local != nil:
		_, err := os.Stat(pv.Spec.Local.Path)
		return pv.Spec.Local.Path, err
	}
	return "", fmt.Errorf("the type of persistentvolume %q is not supported by this kubelet yet", pv.Name)
}

// checkHostPath makes or checks what the type of a hostPath asks for.
func checkHostPath(h *corev1.HostPathVolumeSource) error {
	kind := corev1.HostPathUnset
	if h.Type != nil {
		kind = *h.Type
	}
	st, err := os.Stat(h.Path)
	absent := errors.Is(err, fs.ErrNotExist)
	if err != nil && !absent {
		return err
	}
	is := func(ok func(fs.FileMode) bool, what string) error {
		if absent || !ok(st.Mode()) {
			return fmt.Errorf("hostPath type check failed: %s is not a %s", h.Path, what)
		}
		return nil
	}
	switch kind {
	case corev1.HostPathDirectoryOrCreate:
		if absent {
			return os.MkdirAll(h.Path, 0o755)
		}
		return is(fs.FileMode.IsDir, "directory")
	case corev1.HostPathDirectory:
		return is(fs.FileMode.IsDir, "directory")
	case corev1.HostPathFileOrCreate:
		if absent {
			f, err := os.OpenFile(h.Path, os.O_CREATE|os.O_RDWR, 0o644)
			if err != nil {
				return err
			}
			return f.Close()
		}
		return is(fs.FileMode.IsRegular, "file")
	case corev1.HostPathFile:
		return is(fs.FileMode.IsRegular, "file")
	case corev1.HostPathSocket:
		return is(func(m fs.FileMode) bool { return m&fs.ModeSocket != 0 }, "socket file")
	case corev1.HostPathCharDev:
		return is(func(m fs.FileMode) bool { return m&fs.ModeCharDevice != 0 }, "character device")
	case corev1.HostPathBlockDev:
		return is(func(m fs.FileMode) bool { return m&fs.ModeDevice != 0 && m&fs.ModeCharDevice == 0 }, "block device")
	}
	if absent {
		// Docker made missing directories; runtimes do so still.
		return os.MkdirAll(h.Path, 0o755)
	}
	return nil
}

func mountEmptyDir(dir string, e *corev1.EmptyDirVolumeSource, pod *corev1.Pod) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if e.Medium == corev1.StorageMediumMemory && !isMount(dir) {
		options := ""
		if e.SizeLimit != nil && e.SizeLimit.Value() > 0 {
			options = fmt.Sprintf("size=%d", e.SizeLimit.Value())
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
			return err
		}
	}
	mode := fs.FileMode(0o777)
	if sc := pod.Spec.SecurityContext; sc != nil && sc.FSGroup != nil {
		if err := os.Chown(dir, -1, int(*sc.FSGroup)); err != nil {
			return err
		}
		mode |= fs.ModeSetgid
	}
	return os.Chmod(dir, mode)
}

// isMount tells whether a file system is mounted at dir.
func isMount(dir string) bool {
	var a, b unix.Stat_t
	return unix.Lstat(dir, &a) == nil && unix.Lstat(filepath.Dir(dir), &b) == nil && a.Dev != b.Dev
}

// writeFiles fills a volume whose contents come from the API.
func (w *worker) writeFiles(ctx context.Context, pod *corev1.Pod, v *corev1.Volume, dir string) error {
	files, err := w.project(ctx, pod, v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if memoryBacked(v) && !isMount(dir) {
		// Secrets do not touch the disk.
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
			return err
		}
	}
	group := -1
	if sc := pod.Spec.SecurityContext; sc != nil && sc.FSGroup != nil {
		group = int(*sc.FSGroup)
	}
	return writeAtomically(dir, files, group)
}

func memoryBacked(v *corev1.Volume) bool {
	if v.Secret != nil {
		return true
	}
	if v.Projected != nil {
		for _, s := range v.Projected.Sources {
			if s.Secret != nil || s.ServiceAccountToken != nil {
				return true
			}
		}
	}
	return false
}

// project gathers the files of a configMap, secret, downwardAPI or projected volume.
func (w *worker) project(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) (map[string]projected, error) {
	out := map[string]projected{}
	var err error
	switch {
	case v.ConfigMap != nil:
		c := v.ConfigMap
		err = w.projectConfigMap(ctx, pod, c.Name, c.Items, deref(c.Optional), modeOf(c.DefaultMode), out)
	case v.Secret != nil:
		s := v.Secret
		err = w.projectSecret(ctx, pod, s.SecretName, s.Items, deref(s.Optional), modeOf(s.DefaultMode), out)
	case v.DownwardAPI != nil:
		err = w.projectFields(pod, v.DownwardAPI.Items, modeOf(v.DownwardAPI.DefaultMode), out)
	case v.Projected != nil:
		mode := modeOf(v.Projected.DefaultMode)
		for i := range v.Projected.Sources {
			if err = w.projectSource(ctx, pod, &v.Projected.Sources[i], mode, out); err != nil {
				break
			}
		}
	}
	return out, err
}

func modeOf(m *int32) fs.FileMode {
	if m == nil {
		return 0o644
	}
	return fs.FileMode(*m)
}

func (w *worker) projectSource(ctx context.Context, pod *corev1.Pod, s *corev1.VolumeProjection, mode fs.FileMode, out map[string]projected) error {
	switch {
	case s.ConfigMap != nil:
		return w.projectConfigMap(ctx, pod, s.ConfigMap.Name, s.ConfigMap.Items, deref(s.ConfigMap.Optional), mode, out)
	case s.Secret != nil:
		return w.projectSecret(ctx, pod, s.Secret.Name, s.Secret.Items, deref(s.Secret.Optional), mode, out)
	case s.DownwardAPI != nil:
		return w.projectFields(pod, s.DownwardAPI.Items, mode, out)
	case s.ServiceAccountToken != nil:
		t := s.ServiceAccountToken
		seconds := int64(3600)
		if t.ExpirationSeconds != nil {
			seconds = *t.ExpirationSeconds
		}
		var audiences []string
		if t.Audience != "" {
			audiences = []string{t.Audience}
		}
		token, end, err := w.k.Token(ctx, pod.Namespace, pod.Spec.ServiceAccountName, audiences, seconds, pod.Name, pod.UID)
		if err != nil {
			return fmt.Errorf("failed to fetch token: %w", err)
		}
		// It is renewed when four fifths of its life are over.
		renew := time.Now().Add(time.Until(end) * 4 / 5)
		if w.tokenRenew.IsZero() || renew.Before(w.tokenRenew) {
			w.tokenRenew = renew
		}
		if sc := pod.Spec.SecurityContext; sc == nil || sc.FSGroup == nil {
			if mode == 0o644 && !runsAsUser(pod) {
				mode = 0o644
			}
		}
		out[t.Path] = projected{[]byte(token), mode}
		return nil
	}
	return errors.New("this kind of projected source is not supported by this kubelet yet")
}

func runsAsUser(pod *corev1.Pod) bool {
	return pod.Spec.SecurityContext != nil && pod.Spec.SecurityContext.RunAsUser != nil
}

func (w *worker) projectConfigMap(ctx context.Context, pod *corev1.Pod, name string, items []corev1.KeyToPath, optional bool, mode fs.FileMode, out map[string]projected) error {
	cm, err := client.Get[*corev1.ConfigMap](ctx, w.k.Client, pod.Namespace, name)
	if apierrors.IsNotFound(err) && optional {
		return nil
	}
	if err != nil {
		return err
	}
	data := map[string][]byte{}
	for k, v := range cm.Data {
		data[k] = []byte(v)
	}
	for k, v := range cm.BinaryData {
		data[k] = v
	}
	return projectKeys(data, items, optional, mode, out)
}

func (w *worker) projectSecret(ctx context.Context, pod *corev1.Pod, name string, items []corev1.KeyToPath, optional bool, mode fs.FileMode, out map[string]projected) error {
	s, err := client.Get[*corev1.Secret](ctx, w.k.Client, pod.Namespace, name)
	if apierrors.IsNotFound(err) && optional {
		return nil
	}
	if err != nil {
		return err
	}
	return projectKeys(s.Data, items, optional, mode, out)
}

func projectKeys(data map[string][]byte, items []corev1.KeyToPath, optional bool, mode fs.FileMode, out map[string]projected) error {
	if len(items) == 0 {
		for k, v := range data {
			out[k] = projected{v, mode}
		}
		return nil
	}
	for _, it := range items {
		v, ok := data[it.Key]
		if !ok {
			if optional {
				continue
			}
			return fmt.Errorf("references non-existent config key: %s", it.Key)
		}
		m := mode
		if it.Mode != nil {
			m = fs.FileMode(*it.Mode)
		}
		out[it.Path] = projected{v, m}
	}
	return nil
}

func (w *worker) projectFields(pod *corev1.Pod, items []corev1.DownwardAPIVolumeFile, mode fs.FileMode, out map[string]projected) error {
	for _, it := range items {
		var v string
		var err error
		switch {
		case it.FieldRef != nil:
			v, err = w.podField(pod, it.FieldRef.FieldPath)
		case it.ResourceFieldRef != nil:
			c := findContainer(pod, it.ResourceFieldRef.ContainerName)
			if c == nil {
				return fmt.Errorf("container %q not found", it.ResourceFieldRef.ContainerName)
			}
			v, err = w.resourceField(pod, c, it.ResourceFieldRef)
		}
		if err != nil {
			return err
		}
		m := mode
		if it.Mode != nil {
			m = fs.FileMode(*it.Mode)
		}
		out[it.Path] = projected{[]byte(v), m}
	}
	return nil
}

// refreshVolumes writes mounted configuration anew when it changed, and tokens when it is time.
func (w *worker) refreshVolumes(ctx context.Context, pod *corev1.Pod) error {
	w.mu.Lock()
	refresh := w.refresh
	w.refresh = false
	w.mu.Unlock()
	due := !w.tokenRenew.IsZero() && time.Now().After(w.tokenRenew)
	if !w.mounted || !refresh && !due {
		return nil
	}
	w.tokenRenew = time.Time{}
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.ConfigMap != nil || v.Secret != nil || v.DownwardAPI != nil || v.Projected != nil {
			if err := w.writeFiles(ctx, pod, v, w.volumes[v.Name]); err != nil {
				return fmt.Errorf("refresh volume %s: %w", v.Name, err)
			}
		}
	}
	return nil
}

func (w *worker) tokenRefresh() time.Time { return w.tokenRenew }

// unmount takes the pod's volumes apart.
func (w *worker) unmount() error {
	dir := filepath.Join(w.k.podDir(w.uid), "volumes")
	kinds, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		vols, err := os.ReadDir(filepath.Join(dir, kind.Name()))
		if err != nil {
			return err
		}
		for _, v := range vols {
			p := filepath.Join(dir, kind.Name(), v.Name())
			for isMount(p) {
				if err := unix.Unmount(p, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH); err != nil {
					return &os.PathError{Op: "unmount", Path: p, Err: err}
				}
			}
		}
	}
	w.mounted = false
	w.tokenRenew = time.Time{}
	return os.RemoveAll(dir)
}

// mounts are what a container sees of the volumes, and its hosts file.
func (w *worker) mounts(pod *corev1.Pod, c *corev1.Container, env []variable) ([]*runtimeapi.Mount, error) {
	var out []*runtimeapi.Mount
	hosts := false
	for _, m := range c.VolumeMounts {
		host, ok := w.volumes[m.Name]
		if !ok {
			return nil, fmt.Errorf("volume %q of mount %s is not mounted", m.Name, m.MountPath)
		}
		sub := m.SubPath
		if m.SubPathExpr != "" {
			sub = expand(m.SubPathExpr, lookup(env))
		}
		if sub != "" {
			var err error
			if host, err = subPath(host, sub); err != nil {
				return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: %w", m.Name, c.Name, err)
			}
		}
		mount := &runtimeapi.Mount{ContainerPath: m.MountPath, HostPath: host, Readonly: m.ReadOnly}
		if m.MountPropagation != nil {
			switch *m.MountPropagation {
			case corev1.MountPropagationHostToContainer:
				mount.Propagation = runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER
			case corev1.MountPropagationBidirectional:
				mount.Propagation = runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL
			}
		}
		hosts = hosts || m.MountPath == "/etc/hosts"
		out = append(out, mount)
	}
	if !hosts {
		// The hosts file names the pod's own address, which is known only now.
		if err := w.writeHosts(pod); err != nil {
			return nil, err
		}
		out = append(out, &runtimeapi.Mount{ContainerPath: "/etc/hosts", HostPath: w.hostsFile()})
	}
	return out, nil
}

// subPath is a path inside a volume. Each part is opened without following
// links, so that nobody can lead the mount out of the volume; missing directories are made.
func subPath(volume, sub string) (string, error) {
	if filepath.IsAbs(sub) || strings.Contains("/"+sub+"/", "/../") {
		return "", fmt.Errorf("subPath %q must not contain '..' or be absolute", sub)
	}
	dir, err := unix.Open(volume, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: volume, Err: err}
	}
	defer unix.Close(dir)
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(dir, sub, how)
	if errors.Is(err, unix.ENOENT) {
		if err := makeBeneath(dir, sub); err != nil {
			return "", err
		}
		fd, err = unix.Openat2(dir, sub, how)
	}
	if err != nil {
		return "", &os.PathError{Op: "open", Path: filepath.Join(volume, sub), Err: err}
	}
	defer unix.Close(fd)
	// What the descriptor is about, with all links resolved inside the volume.
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
}

func makeBeneath(dir int, sub string) error {
	at, err := unix.Dup(dir)
	if err != nil {
		return err
	}
	defer func() { unix.Close(at) }()
	for _, part := range strings.Split(filepath.Clean(sub), "/") {
		if err := unix.Mkdirat(at, part, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
		next, err := unix.Openat2(at, part, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS})
		if err != nil {
			return err
		}
		unix.Close(at)
		at = next
	}
	return nil
}

func (w *worker) hostsFile() string { return filepath.Join(w.k.podDir(w.uid), "etc-hosts") }

// writeHosts writes the pod's /etc/hosts.
func (w *worker) writeHosts(pod *corev1.Pod) error {
	var b strings.Builder
	if pod.Spec.HostNetwork {
		host, err := os.ReadFile("/etc/hosts")
		if err != nil {
			return err
		}
		b.WriteString("# Kubernetes-managed hosts file (host network).\n")
		b.Write(host)
	} else {
		b.WriteString("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
		name := hostname(pod)
		for _, ip := range w.seen.ips() {
			if pod.Spec.Subdomain != "" {
				fmt.Fprintf(&b, "%s\t%s.%s.%s.svc.%s\t%s\n", ip, name, pod.Spec.Subdomain, pod.Namespace, w.k.ClusterDomain, name)
			} else {
				fmt.Fprintf(&b, "%s\t%s\n", ip, name)
			}
		}
	}
	if len(pod.Spec.HostAliases) > 0 {
		b.WriteString("\n# Entries added by HostAliases.\n")
		for _, a := range pod.Spec.HostAliases {
			fmt.Fprintf(&b, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
		}
	}
	if err := os.MkdirAll(w.k.podDir(w.uid), 0o750); err != nil {
		return err
	}
	// In place: containers have this very file mounted.
	return os.WriteFile(w.hostsFile(), []byte(b.String()), 0o644)
}
