package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Node is all there is about Node objects on the server.
var Node = api.Kind[corev1.Node]{
	Version: corev1.SchemeGroupVersion, Resource: "nodes", Short: []string{"no"},
	Storage: "minions",
	List:    &corev1.NodeList{},
	Status:  api.StatusOf(func(o *corev1.Node) *corev1.NodeStatus { return &o.Status }),
	Subresources: []api.Subresource{
		{Name: "proxy", Kind: corev1.SchemeGroupVersion.WithKind("NodeProxyOptions"), Verbs: proxyVerbs},
	},
}
