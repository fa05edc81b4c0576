package scheduling

import (
	"testing"

	schedulingv1 "k8s.io/api/scheduling/v1"
)

// TestPreemptionUnset prints a class that was never given its defaults.
func TestPreemptionUnset(t *testing.T) {
	if got := preemption(&schedulingv1.PriorityClass{}); got != "<unset>" {
		t.Errorf("printed as %q", got)
	}
}
