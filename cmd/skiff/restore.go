package main

import (
	"github.com/spf13/cobra"
)

// restore puts objects back as they were.
func restore() *cobra.Command {
	var dir, ns, to string
	var dryRun bool
	c := &cobra.Command{
		Use: "restore [KIND NAME] --to POINT", Short: "Put an object, or a namespace, back as it was",
		Long: "Put an object, or everything in a namespace, back as it was: what is gone is made anew, what changed is written as it was.\n" +
			"What is newer stays. These are ordinary writes: validation and admission see them, and controllers follow.\n\n" +
			"A point is a revision (123), a time ago (10m), or a time of day (14:05).",
		Args: kindAndName,
		RunE: func(c *cobra.Command, args []string) error {
			s, err := connect(dir)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return s.RestoreNamespace(c.Context(), c.OutOrStdout(), ns, to, dryRun)
			}
			return s.Restore(c.Context(), c.OutOrStdout(), args[0], args[1], ns, to, dryRun)
		},
	}
	dataDirFlag(c, &dir)
	namespaceFlag(c, &ns)
	c.Flags().StringVar(&to, "to", "", "the point to go back to")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only tell what would be done; the server checks everything but writes nothing")
	return c
}
