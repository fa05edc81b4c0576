package scheduler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/skiff-k8s/skiff/internal/scheduler/plugins"
)

// FitError is why a pod fits on no node, in Kubernetes' words.
type FitError struct {
	NoNodes   bool
	Nodes     int
	PreFilter *plugins.Status // rejected every node at once
	Reasons   map[string]int  // nodes by reason
	By        plugins.Set     // the plugins that rejected nodes
	// Preemption is what became of making room, for people.
	Preemption string
}

func (e *FitError) Error() string {
	if e.NoNodes {
		return "no nodes available to schedule pods"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "0/%d nodes are available:", e.Nodes)
	switch {
	case e.PreFilter != nil:
		b.WriteString(" " + strings.Join(e.PreFilter.Reasons, ", ") + ".")
	case len(e.Reasons) > 0:
		b.WriteString(" " + histogram(e.Reasons) + ".")
	}
	if e.Preemption != "" {
		b.WriteString(" " + e.Preemption)
	}
	return b.String()
}

// histogram prints reasons with their counts.
// compat: the order is that of the text, so of the counts' digits.
func histogram(reasons map[string]int) string {
	lines := make([]string, 0, len(reasons))
	for r, n := range reasons {
		lines = append(lines, fmt.Sprintf("%d %s", n, r))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}
