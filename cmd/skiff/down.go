package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// down ends the instance, containers too; data stays.
func down() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "down", Short: "Stop the cluster and its containers; data stays", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := instance(dir)
			if err != nil {
				return err
			}
			if err := cfg.Down(c.Context()); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "stopped; `skiff up` starts it again as it was")
			return nil
		},
	}
	dataDirFlag(c, &dir)
	return c
}
