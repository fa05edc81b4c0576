package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skiff-k8s/skiff/internal/cluster"
)

// reset removes everything that the instance ever made on the host.
func reset() *cobra.Command {
	var dir string
	var force bool
	c := &cobra.Command{
		Use: "reset", Short: "Remove everything the cluster ever made on this host", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// A start that failed early has left files but no configuration.
			cfg, _, err := cluster.Load(dir)
			if err != nil {
				return err
			}
			if !force {
				fmt.Fprintf(c.OutOrStdout(), "This removes the cluster in %s with all its data. Type yes to go on: ", cfg.DataDir)
				answer, _ := bufio.NewReader(c.InOrStdin()).ReadString('\n')
				if strings.TrimSpace(answer) != "yes" {
					return errors.New("nothing was removed")
				}
			}
			if err := cfg.Reset(c.Context()); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "removed")
			return nil
		},
	}
	dataDirFlag(c, &dir)
	c.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	return c
}
