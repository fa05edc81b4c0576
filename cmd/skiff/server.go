package main

import (
	"github.com/spf13/cobra"

	"github.com/skiff-k8s/skiff/internal/cluster"
)

// server runs the control plane in the foreground, with no node.
func server() *cobra.Command {
	cfg := &cluster.Config{ControlPlaneOnly: true}
	c := &cobra.Command{
		Use: "server", Short: "Run the control plane only, in the foreground", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return cluster.Run(c.Context(), cfg, c.ErrOrStderr(), nil)
		},
	}
	configFlags(c, cfg)
	return c
}
