// Command kubectl is the unmodified kubectl of k8s.io/kubectl.
package main

import (
	_ "github.com/skiff-k8s/skiff/tools/i18noff"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"

	// The cloud and exec credential plugins that kubeconfigs name.
	_ "k8s.io/client-go/plugin/pkg/client/auth"
)

func main() {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}
