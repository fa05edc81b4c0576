// Package cluster is the composition root: it reads the configuration, makes the
// keys and certificates, wires the parts together and watches over them. It holds wiring, no logic.
//
// Read config.go (what there is to set), run.go (what starts, in which order),
// supervise.go (what happens when a part fails), then host.go (what is undone by down and reset).
package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config is what a Skiff instance is told. It is kept in the data directory, so
// that later commands need only that directory.
type Config struct {
	DataDir                  string
	BindAddress              string
	SecurePort               int
	NodeName                 string
	NodeIP                   string
	ServiceCIDR              string
	PodNetworkCIDR           string
	ClusterDomain            string
	ContainerRuntimeEndpoint string
	Verbosity                int
	// History is how long past revisions can be read (default DefaultHistory), and
	// HistoryBytes how many bytes of them are kept at most (default DefaultHistoryBytes, and never less than the present has).
	History      time.Duration
	HistoryBytes int64
	// NoOldAPIVersions serves current API versions only.
	NoOldAPIVersions bool
	// ControlPlaneOnly runs no node on this host.
	ControlPlaneOnly bool
}

// The defaults of Config.
const (
	DefaultDataDir        = "/var/lib/skiff"
	DefaultSecurePort     = 6443
	DefaultServiceCIDR    = "10.96.0.0/12"
	DefaultPodNetworkCIDR = "10.244.0.0/16"
	DefaultClusterDomain  = "cluster.local"
)

// Complete fills in what was left out from the host, and refuses what cannot work.
func (c *Config) Complete() error {
	abs, err := filepath.Abs(c.DataDir)
	if err != nil {
		return err
	}
	c.DataDir = abs
	if c.History <= 0 {
		c.History = DefaultHistory
	}
	if c.HistoryBytes <= 0 {
		c.HistoryBytes = DefaultHistoryBytes
	}
	if c.NodeName == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("find the host's name (set --node-name): %w", err)
		}
		c.NodeName = strings.ToLower(host)
	}
	if c.NodeIP == "" {
		if c.NodeIP, err = hostAddress(); err != nil {
			return err
		}
	}
	if ip, err := netip.ParseAddr(c.NodeIP); err != nil || !ip.Is4() {
		return fmt.Errorf("--node-ip %q is not an IPv4 address", c.NodeIP)
	}
	if netip.MustParseAddr(c.NodeIP).IsLoopback() {
		return fmt.Errorf("--node-ip %s is a loopback address: pods and other nodes cannot reach the API server there", c.NodeIP)
	}
	if c.SecurePort < 1 || c.SecurePort > 65535 {
		return fmt.Errorf("--secure-port %d is not between 1 and 65535", c.SecurePort)
	}
	for flag, cidr := range map[string]string{"--service-cidr": c.ServiceCIDR, "--pod-network-cidr": c.PodNetworkCIDR} {
		if p, err := netip.ParsePrefix(cidr); err != nil || !p.Addr().Is4() || p.Masked() != p {
			return fmt.Errorf("%s %q is not an IPv4 network such as 10.96.0.0/12", flag, cidr)
		}
	}
	if netip.MustParsePrefix(c.ServiceCIDR).Overlaps(netip.MustParsePrefix(c.PodNetworkCIDR)) {
		return fmt.Errorf("--service-cidr %s and --pod-network-cidr %s overlap", c.ServiceCIDR, c.PodNetworkCIDR)
	}
	if netip.MustParsePrefix(c.ServiceCIDR).Bits() > 27 {
		return fmt.Errorf("--service-cidr %s is too small: at least a /27", c.ServiceCIDR)
	}
	if netip.MustParsePrefix(c.PodNetworkCIDR).Bits() > 24 {
		return fmt.Errorf("--pod-network-cidr %s is too small: each node takes a /24 of it", c.PodNetworkCIDR)
	}
	return nil
}

// hostAddress is the address that the host uses to reach others: that of the
// interface of the default route, or else the first one that is not local.
func hostAddress() (string, error) {
	// Connecting a datagram socket sends nothing; it asks the routing table.
	if c, err := net.Dial("udp4", "192.0.2.1:9"); err == nil {
		defer c.Close()
		if ip := c.LocalAddr().(*net.UDPAddr).IP; !ip.IsLoopback() {
			return ip.String(), nil
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String(), nil
		}
	}
	return "", errors.New("this host has no IPv4 address besides loopback: give one with --node-ip")
}

// Paths of an instance. Everything lies below the data directory, except for
// sockets and mounts of the runtime, whose paths must be short.
func (c *Config) path(parts ...string) string {
	return filepath.Join(append([]string{c.DataDir}, parts...)...)
}

func (c *Config) AdminKubeconfig() string { return c.path("admin.kubeconfig") }
func (c *Config) LogFile() string         { return c.path("skiff.log") }
func (c *Config) lockFile() string        { return c.path("lock") }
func (c *Config) configFile() string      { return c.path("config.json") }

// ID names the instance where names are shared with others on the host: "skiff"
// with a short hash of the data directory.
func (c *Config) ID() string {
	sum := sha256.Sum256([]byte(c.DataDir))
	return "skiff-" + hex.EncodeToString(sum[:3])
}

// RunDir holds what does not survive the host's restart.
func (c *Config) RunDir() string { return "/run/" + c.ID() }

// Save keeps the configuration for later commands.
func (c *Config) Save() error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(c.configFile(), append(b, '\n'), 0o644)
}

// Load reads the configuration that an instance was started with. ok is false
// when there is no instance in the directory.
func Load(dataDir string) (c *Config, ok bool, err error) {
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, false, err
	}
	c = &Config{DataDir: abs}
	b, err := os.ReadFile(c.configFile())
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, false, fmt.Errorf("%s is damaged (remove it and start again with the same flags): %w", c.configFile(), err)
	}
	c.DataDir = abs
	if c.History <= 0 {
		c.History = DefaultHistory
	}
	if c.HistoryBytes <= 0 {
		c.HistoryBytes = DefaultHistoryBytes
	}
	return c, true, nil
}

// writeFile replaces a file whole or not at all.
func writeFile(path string, b []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if serr := f.Sync(); err == nil {
		err = serr
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
