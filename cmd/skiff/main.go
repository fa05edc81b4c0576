// Command skiff is Kubernetes in one binary: API server, scheduler, controllers,
// kubelet, service proxy, pod network and DNS.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// verbs are all that skiff can be told to do, one file each.
var verbs = []func() *cobra.Command{
	up,
	down,
	reset,
	status,
	server,
	kubectl,
	image,
	history,
	diff,
	restore,
	versionVerb,
}

func main() {
	root := &cobra.Command{
		Use: "skiff", Short: "Kubernetes in one binary",
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	for _, v := range verbs {
		root.AddCommand(v())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "skiff:", err)
		os.Exit(1)
	}
}
