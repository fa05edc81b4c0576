package cluster

import (
	"fmt"
	"strings"
	"testing"
)

// TestVersion: the numbers are those of the version that is told, and the one before is the oldest that may serve beside it.
func TestVersion(t *testing.T) {
	i := VersionInfo()
	var minor int
	if _, err := fmt.Sscanf(i.Minor, "%d", &minor); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(KubernetesVersion, fmt.Sprintf("v%s.%d.", i.Major, minor)) || !strings.HasPrefix(i.GitVersion, KubernetesVersion) {
		t.Errorf("%+v of %s", i, KubernetesVersion)
	}
	if i.EmulationMajor != i.Major || i.EmulationMinor != i.Minor || i.MinCompatibilityMajor != i.Major || i.MinCompatibilityMinor != fmt.Sprint(minor-1) {
		t.Errorf("%+v", i)
	}
}
