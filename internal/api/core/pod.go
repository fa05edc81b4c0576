package core

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
)

// IndexNode finds the pods of a node by its name.
const IndexNode = "node"

// Pod is the row; its parts are in pod_*.go, those that templates share in podspec_*.go and container_*.go.
var Pod = api.Kind[corev1.Pod]{
	Version: corev1.SchemeGroupVersion, Resource: "pods", Short: []string{"po"}, Categories: []string{"all"}, Namespaced: true,
	List:   &corev1.PodList{},
	Status: api.StatusOf(func(o *corev1.Pod) *corev1.PodStatus { return &o.Status }).WithValidate(validatePodStatusUpdate).WithPrepare(preparePodStatus).WithWarn(warnPodStatus),
	Spec:   func(o *corev1.Pod) any { return &o.Spec },
	Subresources: []api.Subresource{
		{Name: "attach", Kind: coreKind("PodAttachOptions"), Verbs: streamVerbs},
		{Name: "binding", Kind: coreKind("Binding"), Verbs: createVerbs},
		{Name: "ephemeralcontainers", Kind: coreKind("Pod"), Verbs: writeVerbs, Validate: validateEphemeralUpdate},
		{Name: "eviction", Kind: policyv1.SchemeGroupVersion.WithKind("Eviction"), Verbs: createVerbs},
		{Name: "exec", Kind: coreKind("PodExecOptions"), Verbs: streamVerbs},
		{Name: "log", Kind: coreKind("Pod"), Verbs: []string{"get"}},
		{Name: "portforward", Kind: coreKind("PodPortForwardOptions"), Verbs: streamVerbs},
		{Name: "proxy", Kind: coreKind("PodProxyOptions"), Verbs: proxyVerbs},
		{Name: "resize", Kind: coreKind("Pod"), Verbs: writeVerbs, Validate: validateResize},
	},
	Default:        defaultPod,
	Prepare:        preparePod,
	Validate:       validatePod,
	ValidateUpdate: validatePodUpdate,
	Warn:           warnPod,
	Columns:        podColumns,
	RowConditions:  podRowConditions,
	Graceful:       podGrace,
	Fields: map[string]func(*corev1.Pod) string{
		"spec.nodeName":            func(p *corev1.Pod) string { return p.Spec.NodeName },
		"spec.restartPolicy":       func(p *corev1.Pod) string { return string(p.Spec.RestartPolicy) },
		"spec.schedulerName":       func(p *corev1.Pod) string { return p.Spec.SchedulerName },
		"spec.serviceAccountName":  func(p *corev1.Pod) string { return p.Spec.ServiceAccountName },
		"spec.hostNetwork":         func(p *corev1.Pod) string { return strconv.FormatBool(p.Spec.HostNetwork) },
		"status.phase":             func(p *corev1.Pod) string { return string(p.Status.Phase) },
		"status.podIP":             func(p *corev1.Pod) string { return p.Status.PodIP },
		"status.podIPs":            func(*corev1.Pod) string { return "" }, // compat: it can be asked for and is nothing
		"status.nominatedNodeName": func(p *corev1.Pod) string { return p.Status.NominatedNodeName },
	},
	Indexes: map[string]func(*corev1.Pod) []string{
		IndexNode: func(p *corev1.Pod) []string { return []string{p.Spec.NodeName} },
	},
}

// The verbs of subresources, as discovery lists them.
var (
	createVerbs = []string{"create"}
	streamVerbs = []string{"create", "get"}
	writeVerbs  = []string{"get", "patch", "update"}
	proxyVerbs  = []string{"create", "delete", "get", "patch", "update"}
)

func coreKind(kind string) schema.GroupVersionKind { return corev1.SchemeGroupVersion.WithKind(kind) }

// podGrace is how long a pod's containers have to end. A pod that no node has
// yet, or that is over, has nothing to wait for.
func podGrace(p *corev1.Pod) int64 {
	if p.Spec.NodeName == "" || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return 0
	}
	if p.Spec.TerminationGracePeriodSeconds == nil {
		return corev1.DefaultTerminationGracePeriodSeconds
	}
	if g := *p.Spec.TerminationGracePeriodSeconds; g >= 0 {
		return g
	}
	return 1
}
