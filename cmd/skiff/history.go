package main

import (
	"github.com/spf13/cobra"

	"github.com/skiff-k8s/skiff/internal/cli"
)

// history tells what happened to an object.
func history() *cobra.Command {
	var dir, ns string
	c := &cobra.Command{
		Use: "history KIND NAME", Short: "Tell what happened to an object, and who did it", Args: cobra.ExactArgs(2),
		Long: "Tell what happened to an object, and who did it, as far back as the server keeps its past: an hour, unless it was told otherwise.",
		RunE: func(c *cobra.Command, args []string) error {
			s, err := connect(dir)
			if err != nil {
				return err
			}
			return s.History(c.Context(), c.OutOrStdout(), args[0], args[1], ns)
		},
	}
	dataDirFlag(c, &dir)
	namespaceFlag(c, &ns)
	return c
}

func namespaceFlag(c *cobra.Command, ns *string) {
	c.Flags().StringVarP(ns, "namespace", "n", "default", "namespace of the object")
}

// connect talks to the instance in a directory, as its administrator.
func connect(dir string) (*cli.Server, error) {
	cfg, err := instance(dir)
	if err != nil {
		return nil, err
	}
	return cli.Open(cfg.AdminKubeconfig())
}
