package main

import (
	"github.com/spf13/cobra"

	"github.com/skiff-k8s/skiff/internal/cluster"
)

// dataDirFlag is what every verb that is about an instance takes.
func dataDirFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "data-dir", cluster.DefaultDataDir, "where the instance keeps everything")
}

// configFlags are what the verbs that start an instance take.
func configFlags(c *cobra.Command, cfg *cluster.Config) {
	f := c.Flags()
	dataDirFlag(c, &cfg.DataDir)
	f.StringVar(&cfg.BindAddress, "bind-address", "0.0.0.0", "address that the API server listens on")
	f.IntVar(&cfg.SecurePort, "secure-port", cluster.DefaultSecurePort, "port that the API server listens on")
	f.StringVar(&cfg.NodeName, "node-name", "", "name of this node (default: the host's name)")
	f.StringVar(&cfg.NodeIP, "node-ip", "", "address of this node (default: that of the default route)")
	f.StringVar(&cfg.ServiceCIDR, "service-cidr", cluster.DefaultServiceCIDR, "network that Services get their addresses from")
	f.StringVar(&cfg.PodNetworkCIDR, "pod-network-cidr", cluster.DefaultPodNetworkCIDR, "network that pods get their addresses from")
	f.StringVar(&cfg.ClusterDomain, "cluster-domain", cluster.DefaultClusterDomain, "domain of the cluster's DNS names")
	f.StringVar(&cfg.ContainerRuntimeEndpoint, "container-runtime-endpoint", "", "socket of a CRI runtime to use instead of the built-in one")
	f.DurationVar(&cfg.History, "history", cluster.DefaultHistory, "how long past revisions can be read")
	f.Int64Var(&cfg.HistoryBytes, "history-bytes", cluster.DefaultHistoryBytes, "how many bytes of past revisions are kept at most; never less than the present has")
	f.BoolVar(&cfg.NoOldAPIVersions, "no-old-api-versions", false, "serve no API versions that Kubernetes serves no more (extensions/v1beta1 and the like)")
	f.IntVarP(&cfg.Verbosity, "verbosity", "v", 0, "how much to log; 1 and above log debug messages")
}

// instance loads the configuration of the instance in a directory.
func instance(dir string) (*cluster.Config, error) {
	c, ok, err := cluster.Load(dir)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, noInstance(dir)
	}
	return c, nil
}

type noInstance string

func (d noInstance) Error() string {
	return "there is no instance in " + string(d) + ": start one with `skiff up`, or name its directory with --data-dir"
}
