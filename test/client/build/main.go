// Command build builds the clients that the tests beside it run, one after the
// other, and prints how long each took.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// client is a program of others: the main package, the module file that says of
// which version, and what the linker tells it of its version, as its release does.
// kubectl 0.37 is bin/kubectl, built from tools.
type client struct{ name, modfile, pkg, version string }

var clients = []client{
	{"helm-4", "go.mod", "helm.sh/helm/v4/cmd/helm", ""},
	{"helm-3", "go.mod", "helm.sh/helm/v3/cmd/helm", ""},
	{"kustomize", "go.mod", "sigs.k8s.io/kustomize/kustomize/v5", ""},
	{"kubectl-0.34", "v0.34.mod", "./kubectl", "-X k8s.io/component-base/version.gitVersion=v1.34.13"},
	{"kubectl-0.31", "v0.31.mod", "./kubectl", "-X k8s.io/component-base/version.gitVersion=v1.31.3"},
}

func main() {
	out := flag.String("out", "../../bin/clients", "directory for the programs")
	flag.Parse()
	for _, c := range clients {
		start := time.Now()
		cmd := exec.Command("go", "build", "-modfile", c.modfile, "-trimpath", "-ldflags", "-s -w "+c.version, "-o", filepath.Join(*out, c.name), c.pkg)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if err := cmd.Run(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n", c.name, err)
			os.Exit(1)
		}
		fmt.Printf("built %s in %s\n", c.name, time.Since(start).Round(100*time.Millisecond))
	}
}
