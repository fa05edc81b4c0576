package cluster

import (
	"runtime"
	"runtime/debug"

	"k8s.io/apimachinery/pkg/version"
)

// Version is Skiff's own version; the build sets it.
var Version = "v0.3.0"

// KubernetesVersion is the version of the API that is served.
const KubernetesVersion = "v1.37.2"

// VersionInfo is what /version tells clients.
func VersionInfo() version.Info {
	i := version.Info{Major: "1", Minor: "37", EmulationMajor: "1", EmulationMinor: "37", MinCompatibilityMajor: "1", MinCompatibilityMinor: "36", GitVersion: KubernetesVersion + "+skiff", GitTreeState: "clean",
		GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, s := range b.Settings {
			switch s.Key {
			case "vcs.revision":
				i.GitCommit = s.Value
			case "vcs.time":
				i.BuildDate = s.Value
			}
		}
	}
	return i
}
