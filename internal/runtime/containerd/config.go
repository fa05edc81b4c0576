package containerd

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// PauseImage is the sandbox image, built into Skiff.
const PauseImage = "registry.k8s.io/pause:3.10.1"

// Options say where a containerd of ours lives. Everything it makes is below
// Root and State, or carries the name of CgroupParent.
type Options struct {
	BinDir    string // holds containerd, containerd-shim-runc-v2, runc and skiff-cni
	Root      string // what survives the host's restart: images, containers
	State     string // what does not: sockets, mounts; a short path
	LogFile   string
	CNISocket string // of the network agent
	// CNIConfDir holds CNI configurations; one that a user drops there and that
	// sorts before ours takes over.
	CNIConfDir string
	// RegistryDir holds a folder per registry host with its hosts.toml (mirrors, credentials).
	RegistryDir string
}

// Socket is where containerd answers.
func (o *Options) Socket() string { return filepath.Join(o.State, "containerd.sock") }

func (o *Options) configFile() string { return filepath.Join(o.Root, "config.toml") }
func (o *Options) pidFile() string    { return filepath.Join(o.State, "containerd.pid") }

// config is containerd's configuration, for what was measured and learnt:
// oom scores are clamped where the host forbids lowering them, the loopback
// interface needs no plugin of its own, namespaces are mounted below State so
// that instances do not meet, and nothing is loaded that nobody uses.
func (o *Options) config() string {
	q := strconv.Quote
	return fmt.Sprintf(`version = 4
root = %s
state = %s
oom_score = 0
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs", "io.containerd.differ.v1.erofs", "io.containerd.snapshotter.v1.blockfile", "io.containerd.service.v1.images-pusher"]

[plugins.'io.containerd.server.v1.grpc']
  address = %s
[plugins.'io.containerd.server.v1.ttrpc']
  address = %s
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = %s
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = %s
[plugins.'io.containerd.cri.v1.runtime']
  disable_apparmor = %t
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  runtime_path = %s
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = %s
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = [%s, '/opt/cni/bin']
  conf_dir = %s
  use_internal_loopback = true
[plugins.'io.containerd.internal.v1.opt']
  path = %s
`, q(o.Root), q(o.State), q(o.Socket()), q(o.Socket()+".ttrpc"), q(PauseImage), q(o.RegistryDir), !appArmor(),
		q(filepath.Join(o.BinDir, "containerd-shim-runc-v2")), q(filepath.Join(o.BinDir, "runc")), q(o.BinDir), q(o.CNIConfDir), q(filepath.Join(o.Root, "opt")))
}

func appArmor() bool {
	b, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && len(b) > 0 && b[0] == 'Y'
}

// conflist makes pods get their interface from Skiff's network agent.
func (o *Options) conflist() string {
	return fmt.Sprintf(`{"cniVersion":"1.0.0","name":"skiff","plugins":[{"type":"skiff-cni","socket":%q,"capabilities":{"portMappings":true,"bandwidth":true}}]}
`, o.CNISocket)
}

func (o *Options) write() error {
	for _, d := range []string{o.Root, o.State, o.CNIConfDir, o.RegistryDir} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return err
		}
	}
	if err := os.WriteFile(o.configFile(), []byte(o.config()), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.CNIConfDir, "99-skiff.conflist"), []byte(o.conflist()), 0o644)
}
