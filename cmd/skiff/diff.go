package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/skiff-k8s/skiff/internal/cli"
)

// diff tells how objects differ between two points in time.
func diff() *cobra.Command {
	var dir, ns string
	var p cli.Span
	c := &cobra.Command{
		Use: "diff [KIND NAME] --from POINT [--to POINT]", Short: "Tell how an object, or a namespace, differs between two points in time",
		Long: "Tell how an object, or everything in a namespace, differs between two points in time, as YAML.\n\n" +
			"A point is a revision (123), a time ago (10m), or a time of day (14:05). Without --from it is the oldest revision\n" +
			"that the server keeps, without --to it is now.",
		Args: kindAndName,
		RunE: func(c *cobra.Command, args []string) error {
			if p.From == "" && p.To == "" {
				return errors.New("say since when: --from 123, --from 10m, --from 14:05")
			}
			s, err := connect(dir)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				_, err = s.DiffNamespace(c.Context(), c.OutOrStdout(), ns, p)
			} else {
				_, err = s.Diff(c.Context(), c.OutOrStdout(), args[0], args[1], ns, p)
			}
			return err
		},
	}
	dataDirFlag(c, &dir)
	namespaceFlag(c, &ns)
	c.Flags().StringVar(&p.From, "from", "", "the earlier point (default: as far back as there is history)")
	c.Flags().StringVar(&p.To, "to", "", "the later point (default: now)")
	return c
}

// kindAndName is an object, or none: the whole namespace.
func kindAndName(_ *cobra.Command, args []string) error {
	if len(args) != 0 && len(args) != 2 {
		return errors.New("name a kind and an object, or neither for the whole namespace")
	}
	return nil
}
