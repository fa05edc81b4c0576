package containerd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// PauseImage is the sandbox image, built into Skiff.
const PauseImage = "registry.k8s.io/pause:3.10.1"

// Options say where a containerd of ours lives. All paths are absolute. What it
// makes on the host is below Root and State or in CgroupParent, but for its conflist in CNIConfDir.
type Options struct {
	BinDir  string // holds containerd, containerd-shim-runc-v2, runc and skiff-cni
	Root    string // what survives the host's restart: configuration, images, containers
	State   string // what does not: sockets, mounts, process state; a short path
	LogFile string // what containerd says; grows by warnings only
	// CNISocket is where the network agent serves CNI calls.
	CNISocket string
	// CNIConfDir holds CNI configurations. Ours is 99-skiff.conflist: one that a
	// user drops there takes over when its name sorts before.
	CNIConfDir string
	// RegistryDir holds a folder per registry host with its hosts.toml (mirrors, certificates).
	RegistryDir string
	// CgroupParent is the cgroup below which the kubelet puts this instance's pods,
	// such as /skiff-1a2b3c; Cleanup empties and removes it. May be empty.
	CgroupParent string
	// NoSync lets the metadata skip fsync: for tests only, a power cut loses containers.
	NoSync bool
	Log    *slog.Logger // nil: slog.Default
}

// Socket is where containerd answers.
func (o *Options) Socket() string { return filepath.Join(o.State, "containerd.sock") }

func (o *Options) configFile() string { return filepath.Join(o.Root, "config.toml") }
func (o *Options) pidFile() string    { return filepath.Join(o.State, "containerd.pid") }
func (o *Options) shimSockets() string {
	return filepath.Join(o.State, "s")
}
func (o *Options) conflistFile() string { return filepath.Join(o.CNIConfDir, "99-skiff.conflist") }

func (o *Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.Default()
	}
	return o.Log
}

// maxState is how long State may be: a shim's socket is /s/ and 64 digits below
// it, and containerd refuses more than 106 bytes in all.
const maxState = 106 - len("/s/") - 64

func (o *Options) validate() error {
	for name, p := range map[string]string{"BinDir": o.BinDir, "Root": o.Root, "State": o.State, "LogFile": o.LogFile, "CNIConfDir": o.CNIConfDir, "RegistryDir": o.RegistryDir} {
		if !filepath.IsAbs(p) {
			return fmt.Errorf("containerd: %s %q is not an absolute path", name, p)
		}
	}
	if len(o.State) > maxState {
		return fmt.Errorf("containerd: the path %s is longer than the %d bytes that leave room for the names of sockets", o.State, maxState)
	}
	return nil
}

// disabled is what nobody uses here, or what would touch paths that instances share.
var disabled = []string{
	"io.containerd.differ.v1.erofs", "io.containerd.http.v1.pprof", "io.containerd.image-verifier.v1.bindir",
	"io.containerd.mount-handler.v1.erofs", "io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.blockfile",
	"io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.native",
}

// config is containerd's configuration. What is not the default: every path is
// the instance's own; the loopback interface needs no program; the host may forbid to lower oom
// scores, or know no AppArmor, and then containers that ask for it start all the same.
func (o *Options) config() string {
	q := strconv.Quote
	own := func(name string) string { return q(filepath.Join(o.Root, name)) }
	var names []string
	for _, d := range disabled {
		names = append(names, q(d))
	}
	score := 0
	if mayLowerOOMScore() {
		score = -999 // as Kubernetes' installers do: containerd goes last
	}
	return fmt.Sprintf(`# Written by skiff at each start.
version = 4
root = %s
state = %s
temp = %s
oom_score = %d
imports = []
disabled_plugins = [%s]

[plugins.'io.containerd.server.v1.grpc']
  address = %s
[plugins.'io.containerd.server.v1.ttrpc']
  address = %s
[plugins.'io.containerd.shim.v1.manager']
  socket_dir = %s
[plugins.'io.containerd.metadata.v1.bolt']
  no_sync = %t
[plugins.'io.containerd.internal.v1.opt']
  path = %s
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = %s
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = %s
[plugins.'io.containerd.cri.v1.runtime']
  disable_apparmor = %t
  restrict_oom_score_adj = %t
  netns_mounts_under_state_dir = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  runtime_path = %s
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = %s
  Root = %s
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = [%s, '/opt/cni/bin']
  conf_dir = %s
  use_internal_loopback = true
`, q(o.Root), q(o.State), own("tmp"), score, strings.Join(names, ", "),
		q(o.Socket()), q(o.Socket()+".ttrpc"), q(o.shimSockets()), o.NoSync, own("opt"),
		q(PauseImage), q(o.RegistryDir), !appArmor(), !mayLowerOOMScore(),
		q(filepath.Join(o.BinDir, "containerd-shim-runc-v2")), q(filepath.Join(o.BinDir, "runc")), q(filepath.Join(o.State, "runc")),
		q(o.BinDir), q(o.CNIConfDir))
}

func appArmor() bool {
	b, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && len(b) > 0 && b[0] == 'Y'
}

// mayLowerOOMScore reports whether we hold CAP_SYS_RESOURCE, which containers of
// some hosts and some virtual machines lack.
func mayLowerOOMScore() bool {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(b), "\nCapEff:\t")
	line, _, _ := strings.Cut(after, "\n")
	caps, err := strconv.ParseUint(line, 16, 64)
	const sysResource = 24
	return err == nil && caps&(1<<sysResource) != 0
}

// conflist makes pods get their interface from Skiff's network agent.
func (o *Options) conflist() string {
	return fmt.Sprintf(`{"cniVersion":"1.0.0","name":"skiff","plugins":[{"type":"skiff-cni","socket":%q,"capabilities":{"portMappings":true}}]}
`, o.CNISocket)
}

// write makes the folders and the configuration, and reports whether the
// configuration is another one than before.
func (o *Options) write() (changed bool, err error) {
	for _, d := range []string{o.Root, o.State, filepath.Dir(o.LogFile), o.CNIConfDir, o.RegistryDir} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return false, err
		}
	}
	if _, err := replace(o.conflistFile(), o.conflist(), 0o644); err != nil {
		return false, err
	}
	return replace(o.configFile(), o.config(), 0o600)
}

// replace gives a file new content, whole or not at all; one that has it is left alone.
func replace(path, content string, mode fs.FileMode) (changed bool, err error) {
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, []byte(content)) {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := os.WriteFile(path+".new", []byte(content), mode); err != nil {
		return false, err
	}
	return true, os.Rename(path+".new", path)
}
