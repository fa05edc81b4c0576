package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/skiff-k8s/skiff/internal/runtime"
	"github.com/skiff-k8s/skiff/internal/runtime/containerd"
)

// image brings images onto the node without a registry, and lists them.
func image() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "image", Short: "Import and list the node's images"}
	c.PersistentFlags().StringVar(&dir, "data-dir", "/var/lib/skiff", "where the instance keeps everything")
	c.AddCommand(&cobra.Command{
		Use: "import FILE.tar...", Short: "Import images from tar files (docker save, OCI layout)", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			cfg, err := instance(dir)
			if err != nil {
				return err
			}
			for _, name := range files {
				f, err := os.Open(name)
				if err != nil {
					return err
				}
				names, err := containerd.Import(c.Context(), cfg.RuntimeEndpoint(), f)
				f.Close()
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				for _, n := range names {
					fmt.Fprintln(c.OutOrStdout(), n)
				}
			}
			return nil
		},
	}, &cobra.Command{
		Use: "ls", Short: "List the node's images", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := instance(dir)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), 5*time.Second)
			defer cancel()
			rt, err := runtime.Dial(ctx, cfg.RuntimeEndpoint())
			if err != nil {
				return err
			}
			defer rt.Close()
			resp, err := rt.Images.ListImages(ctx, &runtimeapi.ListImagesRequest{})
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 8, 3, ' ', 0)
			fmt.Fprintln(w, "IMAGE\tID\tSIZE")
			for _, img := range resp.Images {
				for _, tag := range img.RepoTags {
					fmt.Fprintf(w, "%s\t%.19s\t%.1f MB\n", tag, img.Id, float64(img.Size)/1e6)
				}
			}
			return w.Flush()
		},
	})
	return c
}
