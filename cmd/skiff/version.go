package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/skiff-k8s/skiff/internal/cluster"
)

func versionVerb() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			fmt.Fprintf(c.OutOrStdout(), "skiff %s\nkubernetes %s\n%s %s/%s\n", cluster.Version, cluster.KubernetesVersion, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
