package core

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Service is all there is about Service objects on the server.
var Service = api.Kind[corev1.Service]{
	Version: corev1.SchemeGroupVersion, Resource: "services", Short: []string{"svc"}, Categories: []string{"all"}, Namespaced: true,
	Storage: "services/specs",
	List:    &corev1.ServiceList{},
	Status:  api.StatusOf(func(o *corev1.Service) *corev1.ServiceStatus { return &o.Status }),
	Indexes: map[string]func(*corev1.Service) []string{
		"clusterIP": func(o *corev1.Service) []string {
			if o.Spec.ClusterIP == corev1.ClusterIPNone {
				return nil
			}
			return o.Spec.ClusterIPs
		},
		"nodePort": serviceNodePorts,
	},
	Fields: map[string]func(*corev1.Service) string{
		"spec.clusterIP": func(o *corev1.Service) string { return o.Spec.ClusterIP },
		"spec.type":      func(o *corev1.Service) string { return string(o.Spec.Type) },
	},
	Subresources: []api.Subresource{
		{Name: "proxy", Kind: corev1.SchemeGroupVersion.WithKind("ServiceProxyOptions"), Verbs: proxyVerbs},
	},
}

// serviceNodePorts are the node ports that the Service holds, as text.
func serviceNodePorts(o *corev1.Service) []string {
	var ports []string
	for i := range o.Spec.Ports {
		if p := o.Spec.Ports[i].NodePort; p != 0 {
			ports = append(ports, strconv.Itoa(int(p)))
		}
	}
	if p := o.Spec.HealthCheckNodePort; p != 0 {
		ports = append(ports, strconv.Itoa(int(p)))
	}
	return ports
}
