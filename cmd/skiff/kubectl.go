package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/skiff-k8s/skiff/internal/cluster"
)

// kubectl runs the unmodified kubectl beside this binary against the instance.
func kubectl() *cobra.Command {
	return &cobra.Command{
		Use: "kubectl [--data-dir DIR] ...", Short: "Run kubectl against the instance",
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			dir := cluster.DefaultDataDir
			// Only a leading --data-dir is ours; everything else is kubectl's.
			switch {
			case len(args) > 1 && args[0] == "--data-dir":
				dir, args = args[1], args[2:]
			case len(args) > 0 && strings.HasPrefix(args[0], "--data-dir="):
				dir, args = strings.TrimPrefix(args[0], "--data-dir="), args[1:]
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			bin := filepath.Join(filepath.Dir(self), "kubectl")
			env := os.Environ()
			if os.Getenv("KUBECONFIG") == "" {
				c, err := instance(dir)
				if err != nil {
					return err
				}
				env = append(env, "KUBECONFIG="+c.AdminKubeconfig())
			}
			err = syscall.Exec(bin, append([]string{"kubectl"}, args...), env)
			if errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%s is missing: `make build` puts it there", bin)
			}
			return err
		},
	}
}
