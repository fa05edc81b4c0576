package core

import (
	"k8s.io/apimachinery/pkg/labels"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Service is all there is about Service objects on the server.
var Service = api.Kind[corev1.Service]{
	Version: corev1.SchemeGroupVersion, Resource: "services", Short: []string{"svc"}, Categories: []string{"all"}, Namespaced: true,
	Storage:        "services/specs",
	CreateOnUpdate: true,
	List:           &corev1.ServiceList{},
	Status:         api.StatusOf(func(o *corev1.Service) *corev1.ServiceStatus { return &o.Status }).WithPrepare(prepareServiceStatus).WithValidate(validateServiceStatus).WithWarn(warnServiceStatus),
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
	Default:        defaultService,
	Prepare:        prepareService,
	PrepareUpdate:  prepareServiceUpdate,
	Name:           api.NameIsDNSLabel,
	Validate:       validateService,
	ValidateUpdate: validateServiceUpdate,
	Warn:           warnService,
	Columns: api.Columns[corev1.Service]{
		api.NameColumn[corev1.Service](),
		api.Text("Type", "type determines how the Service is exposed.", func(o *corev1.Service) any { return string(o.Spec.Type) }),
		api.Text("Cluster-IP", "clusterIP is the IP address of the service and is usually assigned randomly.", func(o *corev1.Service) any { return serviceClusterIP(o) }),
		api.Text("External-IP", "externalIPs is a list of IP addresses for which nodes in the cluster will also accept traffic for this service.", func(o *corev1.Service) any { return serviceExternalIP(o) }),
		api.Text("Port(s)", "The list of ports that are exposed by this service.", func(o *corev1.Service) any { return servicePorts(o) }),
		api.AgeColumn[corev1.Service](),
		api.Wide("Selector", "Route service traffic to pods with label keys and values matching this selector.", func(o *corev1.Service) any { return labels.FormatLabels(o.Spec.Selector) }),
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
