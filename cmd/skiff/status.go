package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// status tells what runs, since when, and how much memory it takes.
func status() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "status", Short: "Tell what runs", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := instance(dir)
			if err != nil {
				return err
			}
			s := cfg.Status(c.Context())
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 8, 3, ' ', 0)
			fmt.Fprintln(w, "PART\tSTATE\tVERSION\tPID\tMEMORY\tSINCE")
			for _, p := range s.Parts {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.State, p.Version, p.Pid, p.Memory, p.Since)
			}
			w.Flush()
			fmt.Fprintf(c.OutOrStdout(), "\ndata directory  %s\nAPI server      %s\nkubeconfig      %s\n", cfg.DataDir, s.Server, cfg.AdminKubeconfig())
			if !s.Running {
				return errors.New("not running: `skiff up` starts it")
			}
			return nil
		},
	}
	dataDirFlag(c, &dir)
	return c
}
