package core

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

var podColumns = api.Columns[corev1.Pod]{
	api.NameColumn[corev1.Pod](),
	api.Text("Ready", "The aggregate readiness state of this pod for accepting traffic.", func(p *corev1.Pod) any { s := summarize(p); return fmt.Sprintf("%d/%d", s.ready, s.total) }),
	api.Text("Status", "The aggregate status of the containers in this pod.", func(p *corev1.Pod) any { return summarize(p).reason }),
	api.Text("Restarts", "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.", func(p *corev1.Pod) any { return summarize(p).restartText() }),
	api.AgeColumn[corev1.Pod](),
	api.Wide("IP", "podIP address allocated to the pod. Routable at least within the cluster. Empty if not yet allocated.", func(p *corev1.Pod) any {
		if len(p.Status.PodIPs) > 0 {
			return orNone(p.Status.PodIPs[0].IP)
		}
		return orNone(p.Status.PodIP)
	}),
	api.Wide("Node", "nodeName indicates in which node this pod is scheduled.", func(p *corev1.Pod) any { return orNone(p.Spec.NodeName) }),
	api.Wide("Nominated Node", "nominatedNodeName is set only when this pod preempts other pods on the node, but it cannot be scheduled right away.", func(p *corev1.Pod) any { return orNone(p.Status.NominatedNodeName) }),
	api.Wide("Readiness Gates", "If specified, all readiness gates will be evaluated for pod readiness.", readinessGates),
}

// orNone is what kubectl shows for an empty text.
func orNone(s string) string {
	if s == "" {
		return "<none>"
	}
	return s
}

func readinessGates(p *corev1.Pod) any {
	if len(p.Spec.ReadinessGates) == 0 {
		return "<none>"
	}
	n := 0
	for _, g := range p.Spec.ReadinessGates {
		if c := podCondition(p, g.ConditionType); c != nil && c.Status == corev1.ConditionTrue {
			n++
		}
	}
	return fmt.Sprintf("%d/%d", n, len(p.Spec.ReadinessGates))
}

func podCondition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// podSummary is a pod in one line.
type podSummary struct {
	ready, total, restarts int
	last                   metav1.Time // of a container's end that was followed by a restart
	reason                 string
}

func (s podSummary) restartText() string {
	if s.restarts == 0 || s.last.IsZero() {
		return strconv.Itoa(s.restarts)
	}
	return fmt.Sprintf("%d (%s ago)", s.restarts, api.Age(s.last))
}

// PodReason is what kubectl get shows as a pod's status.
func PodReason(p *corev1.Pod) string { return summarize(p).reason }

func summarize(p *corev1.Pod) podSummary {
	s := podSummary{total: len(p.Spec.Containers), reason: string(p.Status.Phase)}
	if p.Status.Reason != "" {
		s.reason = p.Status.Reason
	}
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated {
			s.reason = corev1.PodReasonSchedulingGated
		}
	}
	initializing := s.inits(p)
	if c := podCondition(p, corev1.PodInitialized); !initializing || c != nil && c.Status == corev1.ConditionTrue {
		s.containers(p)
	}
	if p.DeletionTimestamp != nil {
		switch {
		case p.Status.Reason == "NodeLost":
			s.reason = "Unknown"
		case p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed:
			s.reason = "Terminating"
		}
	}
	return s
}

func isSidecar(p *corev1.Pod, name string) bool {
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; c.Name == name {
			return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		}
	}
	return false
}

func (s *podSummary) ended(c *corev1.ContainerStatus) {
	if t := c.LastTerminationState.Terminated; t != nil && s.last.Before(&t.FinishedAt) {
		s.last = t.FinishedAt
	}
}

// inits looks at the init containers, and tells whether they are still at work.
// Afterwards only those that go on beside the containers count as restarted.
func (s *podSummary) inits(p *corev1.Pod) bool {
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			s.total++
		}
	}
	sidecars := podSummary{}
	for i := range p.Status.InitContainerStatuses {
		c := &p.Status.InitContainerStatuses[i]
		sidecar := isSidecar(p, c.Name)
		s.restarts += int(c.RestartCount)
		s.ended(c)
		if sidecar {
			sidecars.restarts += int(c.RestartCount)
			sidecars.ended(c)
		}
		t := c.State.Terminated
		switch {
		case t != nil && t.ExitCode == 0:
			continue
		case sidecar && c.Started != nil && *c.Started:
			if c.Ready {
				s.ready++
			}
			continue
		case t != nil:
			s.reason = "Init:" + endReason(t)
		case c.State.Waiting != nil && c.State.Waiting.Reason != "" && c.State.Waiting.Reason != "PodInitializing":
			s.reason = "Init:" + c.State.Waiting.Reason
		default:
			s.reason = fmt.Sprintf("Init:%d/%d", i, len(p.Spec.InitContainers))
		}
		if c := podCondition(p, corev1.PodInitialized); c != nil && c.Status == corev1.ConditionTrue {
			s.restarts, s.last = sidecars.restarts, sidecars.last
		}
		return true
	}
	s.restarts, s.last = sidecars.restarts, sidecars.last
	return false
}

func endReason(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", t.ExitCode)
}

func (s *podSummary) containers(p *corev1.Pod) {
	running := false
	for i := len(p.Status.ContainerStatuses) - 1; i >= 0; i-- {
		c := &p.Status.ContainerStatuses[i]
		s.restarts += int(c.RestartCount)
		s.ended(c)
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "":
			s.reason = c.State.Waiting.Reason
		case c.State.Terminated != nil:
			s.reason = endReason(c.State.Terminated)
		case c.Ready && c.State.Running != nil:
			running = true
			s.ready++
		}
	}
	if s.reason == "Completed" && running {
		s.reason = "NotReady"
		if c := podCondition(p, corev1.PodReady); c != nil && c.Status == corev1.ConditionTrue {
			s.reason = string(corev1.PodRunning)
		}
	}
}

// podRowConditions mark the rows of pods that have ended.
func podRowConditions(o *corev1.Pod) []metav1.TableRowCondition {
	ended := metav1.TableRowCondition{Type: metav1.RowCompleted, Status: metav1.ConditionTrue, Reason: string(o.Status.Phase)}
	switch o.Status.Phase {
	case corev1.PodSucceeded:
		ended.Message = "The pod has completed successfully."
	case corev1.PodFailed:
		ended.Message = "The pod failed."
	default:
		return nil
	}
	return []metav1.TableRowCondition{ended}
}
