package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/dns"
	"github.com/skiff-k8s/skiff/internal/kubelet"
	"github.com/skiff-k8s/skiff/internal/podnet"
	"github.com/skiff-k8s/skiff/internal/proxy"
	"github.com/skiff-k8s/skiff/internal/runtime"
	"github.com/skiff-k8s/skiff/internal/runtime/containerd"
)

// Names that the node part uses on the host. In a network namespace there is one instance.
const (
	bridgeName = "skiff0"
	proxyTable = "skiff-proxy"
	podTable   = "skiff-pods"
)

// node is the part of an instance that runs pods.
type node struct {
	i       *instance
	runtime chan runtimeStart
}

type runtimeStart struct {
	client *runtime.Client
	daemon *containerd.Daemon
	err    error
}

// containerdOptions are those of the instance's own runtime.
func (c *Config) containerdOptions() containerd.Options {
	return containerd.Options{
		BinDir: binDir(), Root: c.path("containerd"), State: c.RunDir() + "/c", LogFile: c.path("containerd.log"),
		CNISocket: c.cniSocket(), CNIConfDir: c.path("cni"), RegistryDir: c.path("registries"), CgroupParent: "/" + c.ID(),
	}
}

func (c *Config) cniSocket() string { return c.RunDir() + "/cni.sock" }

// RuntimeEndpoint is where the container runtime answers: the built-in one, or what the user named.
func (c *Config) RuntimeEndpoint() string {
	if c.ContainerRuntimeEndpoint != "" {
		return c.ContainerRuntimeEndpoint
	}
	o := c.containerdOptions()
	return o.Socket()
}

// binDir holds the programs that are built with this one.
func binDir() string {
	self, err := os.Executable()
	if err != nil {
		return "/usr/local/bin"
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	return filepath.Dir(self)
}

// prepareNode begins to start the container runtime, which takes longest.
func (i *instance) prepareNode(ctx context.Context) *node {
	n := &node{i: i, runtime: make(chan runtimeStart, 1)}
	go func() {
		var s runtimeStart
		if i.cfg.ContainerRuntimeEndpoint == "" {
			o := i.cfg.containerdOptions()
			o.Log = i.log.With("part", "containerd")
			if s.daemon, s.err = containerd.Start(ctx, o); s.err == nil {
				i.parts.run(ctx, "containerd", s.daemon.Supervise)
			}
		}
		if s.err == nil {
			short, cancel := context.WithTimeout(ctx, 30*time.Second)
			s.client, s.err = runtime.Dial(short, i.cfg.RuntimeEndpoint())
			cancel()
		}
		n.runtime <- s
	}()
	return n
}

// start brings the node up and returns when it is Ready.
func (n *node) start(ctx context.Context) error {
	i := n.i
	cfg := i.cfg
	tenth, err := serviceAddress(cfg.ServiceCIDR, 10)
	if err != nil {
		return err
	}
	podNetwork := netip.MustParsePrefix(cfg.PodNetworkCIDR)
	i.parts.run(ctx, "proxy", func(ctx context.Context) error {
		return proxy.New(proxy.Options{Client: i.system, NodeName: cfg.NodeName, NodeIPs: []netip.Addr{netip.MustParseAddr(cfg.NodeIP)},
			ClusterCIDR: podNetwork, TableName: proxyTable, Log: i.log.With("part", "proxy")}).Run(ctx)
	})
	i.parts.run(ctx, "pod network", func(ctx context.Context) error { return n.runNetwork(ctx, podNetwork) })

	s := <-n.runtime
	if s.err != nil {
		return fmt.Errorf("container runtime: %w", s.err)
	}
	i.step("container runtime ready")
	k, err := kubelet.New(kubelet.Options{
		NodeName: cfg.NodeName, NodeIP: cfg.NodeIP, NodeLabels: map[string]string{"node-role.kubernetes.io/control-plane": ""},
		Client: i.api.Client(auth.Component("node:" + cfg.NodeName)), Events: i.events, Runtime: s.client.Runtime, Images: s.client.Images,
		RootDir: cfg.path("kubelet"), LogDir: cfg.path("logs"), StaticPodDir: cfg.path("manifests"), CgroupRoot: "/" + cfg.ID() + "/kubepods",
		ClusterDNS: tenth, ClusterDomain: cfg.ClusterDomain, Version: KubernetesVersion + "+skiff", Log: i.log.With("part", "kubelet"), Token: i.api.PodToken,
	})
	if err != nil {
		return err
	}
	i.nodes.set(cfg.NodeName, k.Handler())
	i.parts.run(ctx, "kubelet", k.Run)
	select {
	case <-k.Ready():
		i.step("node Ready")
	case <-time.After(60 * time.Second):
		return fmt.Errorf("the node did not become Ready within a minute: see %s", cfg.LogFile())
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// runNetwork waits for the node's range of pod addresses and serves it. DNS comes with it: it
// listens on the bridge's address.
func (n *node) runNetwork(ctx context.Context, cluster netip.Prefix) error {
	i := n.i
	podCIDR, err := n.podCIDR(ctx)
	if err != nil {
		return err
	}
	agent := podnet.New(i.cfg.podnetOptions(podCIDR))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gateway := podCIDR.Addr().Next().String()
	if err := pointService(ctx, i.system, metav1.NamespaceSystem, "kube-dns", gateway, []endpointPort{{"dns", 53, corev1.ProtocolUDP}, {"dns-tcp", 53, corev1.ProtocolTCP}}); err != nil {
		return err
	}
	i.parts.run(ctx, "dns", func(ctx context.Context) error {
		return dns.New(dns.Options{Client: i.system, Domain: i.cfg.ClusterDomain, Listen: []string{gateway + ":53"}, Log: i.log.With("part", "dns")}).Run(ctx)
	})
	i.parts.run(ctx, "node routes", func(ctx context.Context) error { return agent.FollowNodes(ctx, i.system, i.cfg.NodeName) })
	return agent.Run(ctx)
}

func (c *Config) podnetOptions(podCIDR netip.Prefix) podnet.Options {
	return podnet.Options{StateDir: c.path("podnet"), Bridge: bridgeName, TableName: podTable, SocketPath: c.cniSocket(),
		ClusterCIDR: netip.MustParsePrefix(c.PodNetworkCIDR), PodCIDR: podCIDR}
}

// podCIDR waits until the node has its range of pod addresses.
func (n *node) podCIDR(ctx context.Context) (netip.Prefix, error) {
	w, err := n.i.system.Watch(ctx, all.For[*corev1.Node](), "", client.Selector{Fields: fields.OneTermEqualSelector("metadata.name", n.i.cfg.NodeName)}, -1)
	if err != nil {
		return netip.Prefix{}, err
	}
	defer w.Close()
	for {
		events, err := w.Next(ctx)
		if err != nil {
			return netip.Prefix{}, err
		}
		for _, e := range events {
			if o, ok := e.Object.(*corev1.Node); ok && o.Spec.PodCIDR != "" {
				return netip.ParsePrefix(o.Spec.PodCIDR)
			}
		}
	}
}
