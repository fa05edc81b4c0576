package core

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Node is all there is about Node objects on the server.
var Node = api.Kind[corev1.Node]{
	Version: corev1.SchemeGroupVersion, Resource: "nodes", Short: []string{"no"},
	Storage: "minions",
	List:    &corev1.NodeList{},
	Status:  api.StatusOf(func(o *corev1.Node) *corev1.NodeStatus { return &o.Status }).KeptAtCreation().WithPrepare(prepareNodeStatus).WithValidate(validateNodeStatus),
	Subresources: []api.Subresource{
		{Name: "proxy", Kind: corev1.SchemeGroupVersion.WithKind("NodeProxyOptions"), Verbs: proxyVerbs},
	},
	Default:        defaultNode,
	Prepare:        prepareNode,
	PrepareUpdate:  prepareNodeUpdate,
	Validate:       validateNode,
	ValidateUpdate: validateNodeUpdate,
	Warn:           warnNode,
	Fields: map[string]func(*corev1.Node) string{
		"spec.unschedulable": func(o *corev1.Node) string { return strconv.FormatBool(o.Spec.Unschedulable) },
	},
	Columns: api.Columns[corev1.Node]{
		api.NameColumn[corev1.Node](),
		api.Text("Status", "The status of the node", func(o *corev1.Node) any { return nodeStatus(o) }),
		api.Text("Roles", "The roles of the node", func(o *corev1.Node) any { return nodeRoles(o) }),
		api.AgeColumn[corev1.Node](),
		api.Text("Version", "Kubelet Version reported by the node.", func(o *corev1.Node) any { return o.Status.NodeInfo.KubeletVersion }),
		api.Wide("Internal-IP", "List of addresses reachable to the node.", func(o *corev1.Node) any { return nodeAddress(o, corev1.NodeInternalIP) }),
		api.Wide("External-IP", "List of addresses reachable to the node.", func(o *corev1.Node) any { return nodeAddress(o, corev1.NodeExternalIP) }),
		api.Wide("OS-Image", "OS Image reported by the node from /etc/os-release (e.g. Debian GNU/Linux 7 (wheezy)).", func(o *corev1.Node) any { return orUnknown(o.Status.NodeInfo.OSImage) }),
		api.Wide("Kernel-Version", "Kernel Version reported by the node from 'uname -r' (e.g. 3.16.0-0.bpo.4-amd64).", func(o *corev1.Node) any { return orUnknown(o.Status.NodeInfo.KernelVersion) }),
		api.Wide("Container-Runtime", "ContainerRuntime Version reported by the node through runtime remote API (e.g. containerd://1.4.2).", func(o *corev1.Node) any { return orUnknown(o.Status.NodeInfo.ContainerRuntimeVersion) }),
	},
}
