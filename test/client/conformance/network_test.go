package conformance

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
)

func service(name string, kind corev1.ServiceType, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"test": name}}, Spec: corev1.ServiceSpec{Type: kind, Ports: ports, Selector: map[string]string{"app": name}}}
}

func TestServices(t *testing.T) {
	create := func(t *T, s *corev1.Service) *corev1.Service {
		t.Helper()
		s, err := t.c.CoreV1().Services(t.ns).Create(t.ctx, s, metav1.CreateOptions{})
		t.ok(err)
		return s
	}
	http := corev1.ServicePort{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(80)}
	conform(t, "[sig-network] Services should provide secure master service", func(t *T) {
		_, err := t.c.CoreV1().Services("default").Get(t.ctx, "kubernetes", metav1.GetOptions{})
		t.ok(err)
	})
	conform(t, "[sig-network] Services should find a service from listing all namespaces", func(t *T) {
		list, err := t.c.CoreV1().Services("").List(t.ctx, metav1.ListOptions{})
		t.ok(err)
		t.want(slices.ContainsFunc(list.Items, func(s corev1.Service) bool { return s.Name == "kubernetes" && s.Namespace == "default" }), "no kubernetes in default")
	})
	conform(t, "[sig-network] EndpointSlice should have Endpoints and EndpointSlices pointing to API Server", func(t *T) {
		e, err := t.c.CoreV1().Endpoints("default").Get(t.ctx, "kubernetes", metav1.GetOptions{})
		t.ok(err)
		t.want(len(e.Subsets) == 1 && len(e.Subsets[0].Addresses) == 1, "%+v", e.Subsets)
		list, err := t.c.DiscoveryV1().EndpointSlices("default").List(t.ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=kubernetes"})
		t.ok(err)
		t.want(len(list.Items) > 0 && len(list.Items[0].Endpoints) == 1 && list.Items[0].AddressType == discoveryv1.AddressTypeIPv4, "%+v", list.Items)
	})
	conform(t, "[sig-network] Services should complete a service status lifecycle (of a balancer)", func(t *T) {
		api := t.c.CoreV1().Services(t.ns)
		w, err := api.Watch(t.ctx, metav1.ListOptions{LabelSelector: "test=status"})
		t.ok(err)
		defer w.Stop()
		create(t, service("status", corev1.ServiceTypeLoadBalancer, http))
		t.event(w, watch.Added, nil)
		s, err := api.Patch(t.ctx, "status", types.MergePatchType, []byte(`{"metadata":{"annotations":{"patchedstatus":"true"}},"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.1"}]}}}`), metav1.PatchOptions{}, "status")
		t.ok(err)
		t.want(s.Annotations["patchedstatus"] == "true" && s.Status.LoadBalancer.Ingress[0].IP == "203.0.113.1", "%+v", s)
		t.event(w, watch.Modified, func(o metav1.Object) bool { return o.GetAnnotations()["patchedstatus"] == "true" })
		s.Status.Conditions = append(s.Status.Conditions, metav1.Condition{Type: "StatusUpdate", Status: metav1.ConditionTrue, Reason: "E2E", Message: "Set from e2e test", LastTransitionTime: metav1.Now()})
		s, err = api.UpdateStatus(t.ctx, s, metav1.UpdateOptions{})
		t.ok(err)
		t.want(len(s.Status.Conditions) == 1, "%+v", s.Status)
		_, err = api.Patch(t.ctx, "status", types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"test-service":"patched"}}}`), metav1.PatchOptions{})
		t.ok(err)
		t.ok(api.Delete(t.ctx, "status", metav1.DeleteOptions{}))
		t.event(w, watch.Deleted, nil)
	})
	conform(t, "[sig-network] Services should delete a collection of services", func(t *T) {
		for i, label := range []string{"collect", "collect", "keep"} {
			s := service(fmt.Sprintf("e2e-svc-%c", 'a'+i), corev1.ServiceTypeClusterIP, http)
			s.Labels = map[string]string{"e2e": label}
			create(t, s)
		}
		t.ok(t.d.Resource(gvr("", "v1", "services")).Namespace(t.ns).DeleteCollection(t.ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "e2e=collect"}))
		list, err := t.c.CoreV1().Services(t.ns).List(t.ctx, metav1.ListOptions{})
		t.ok(err)
		t.want(len(list.Items) == 1 && list.Items[0].Labels["e2e"] == "keep", "%+v", list.Items)
	})
	conform(t, "[sig-network] Services should be able to change the type from ExternalName to ClusterIP", func(t *T) {
		s := service("change", corev1.ServiceTypeExternalName)
		s.Spec.ExternalName = "foo.example.com"
		s = create(t, s)
		t.want(s.Spec.ClusterIP == "", "an ExternalName has %s", s.Spec.ClusterIP)
		change(t, t.c.CoreV1().Services(t.ns), "change", func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalName, s.Spec.Ports = corev1.ServiceTypeClusterIP, "", []corev1.ServicePort{http}
		})
		s, err := t.c.CoreV1().Services(t.ns).Get(t.ctx, "change", metav1.GetOptions{})
		t.ok(err)
		t.want(s.Spec.ClusterIP != "" && s.Spec.ClusterIP != "None" && len(s.Spec.ClusterIPs) == 1, "%+v", s.Spec)
	})
	conform(t, "[sig-network] Services should be able to change the type from ExternalName to NodePort", func(t *T) {
		s := service("change", corev1.ServiceTypeExternalName)
		s.Spec.ExternalName = "foo.example.com"
		create(t, s)
		s = change(t, t.c.CoreV1().Services(t.ns), "change", func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalName, s.Spec.Ports = corev1.ServiceTypeNodePort, "", []corev1.ServicePort{http}
		})
		t.want(s.Spec.ClusterIP != "" && s.Spec.Ports[0].NodePort >= 30000 && s.Spec.Ports[0].NodePort < 32768, "%+v", s.Spec)
	})
	for _, from := range []corev1.ServiceType{corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort} {
		conform(t, "[sig-network] Services should be able to change the type from "+string(from)+" to ExternalName", func(t *T) {
			create(t, service("change", from, http))
			s := change(t, t.c.CoreV1().Services(t.ns), "change", func(s *corev1.Service) {
				s.Spec.Type, s.Spec.ExternalName = corev1.ServiceTypeExternalName, "other.example.com"
			})
			t.want(s.Spec.ClusterIP == "" && len(s.Spec.ClusterIPs) == 0 && s.Spec.Ports[0].NodePort == 0, "%+v", s.Spec)
		})
	}
	conform(t, "[sig-network] Services should be able to switch session affinity for service with type clusterIP", func(t *T) {
		s := service("affine", corev1.ServiceTypeClusterIP, http)
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		s = create(t, s)
		t.want(*s.Spec.SessionAffinityConfig.ClientIP.TimeoutSeconds == corev1.DefaultClientIPServiceAffinitySeconds, "%+v", s.Spec)
		s = change(t, t.c.CoreV1().Services(t.ns), "affine", func(s *corev1.Service) {
			s.Spec.SessionAffinity, s.Spec.SessionAffinityConfig = corev1.ServiceAffinityNone, nil
		})
		t.want(s.Spec.SessionAffinityConfig == nil, "%+v", s.Spec)
		s = change(t, t.c.CoreV1().Services(t.ns), "affine", func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })
		t.want(s.Spec.SessionAffinity == corev1.ServiceAffinityClientIP, "%+v", s.Spec)
	})
	conform(t, "[sig-network] Services should serve endpoints on same port and different protocols", func(t *T) {
		s := create(t, service("both", corev1.ServiceTypeClusterIP, corev1.ServicePort{Name: "tcp", Port: 80, Protocol: corev1.ProtocolTCP}, corev1.ServicePort{Name: "udp", Port: 80, Protocol: corev1.ProtocolUDP}))
		t.want(len(s.Spec.Ports) == 2, "%+v", s.Spec)
		for _, p := range s.Spec.Ports {
			s = change(t, t.c.CoreV1().Services(t.ns), "both", func(s *corev1.Service) { s.Spec.Ports = []corev1.ServicePort{p} })
			t.want(len(s.Spec.Ports) == 1 && s.Spec.Ports[0].Protocol == p.Protocol, "%+v", s.Spec.Ports)
		}
	})
}

// running gives a pod an address, as if a node ran it.
func running(t *T, name, ip string, ready bool) {
	t.Helper()
	status := map[bool]string{true: "True", false: "False"}[ready]
	patch := fmt.Sprintf(`{"status":{"phase":"Running","podIP":%q,"podIPs":[{"ip":%q}],"conditions":[{"type":"Ready","status":%q}]}}`, ip, ip, status)
	_, err := t.c.CoreV1().Pods(t.ns).Patch(t.ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	t.ok(err)
}

func TestEndpoints(t *testing.T) {
	backend := func(t *T, name, ip string, ports ...corev1.ContainerPort) {
		t.Helper()
		p := pod(name, t.ns)
		p.Labels["app"] = "ends"
		p.Spec.Containers[0].Ports = ports
		_, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, p, metav1.CreateOptions{})
		t.ok(err)
		running(t, name, ip, true)
	}
	// ends waits until "address:port" are the service's endpoints, in both kinds.
	ends := func(t *T, wanted ...string) {
		t.Helper()
		var old, sliced []string
		defer func() {
			if t.Failed() {
				t.Logf("endpoints %v, slices %v, not %v", old, sliced, wanted)
			}
		}()
		t.eventually("endpoints", func() bool {
			old, sliced = nil, nil
			e, err := t.c.CoreV1().Endpoints(t.ns).Get(t.ctx, "ends", metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return false
			}
			t.ok(err)
			for _, s := range e.Subsets {
				for _, a := range s.Addresses {
					for _, p := range s.Ports {
						old = append(old, fmt.Sprintf("%s:%d", a.IP, p.Port))
					}
				}
			}
			list, err := t.c.DiscoveryV1().EndpointSlices(t.ns).List(t.ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=ends"})
			t.ok(err)
			for _, s := range list.Items {
				for _, a := range s.Endpoints {
					for _, p := range s.Ports {
						sliced = append(sliced, fmt.Sprintf("%s:%d", a.Addresses[0], *p.Port))
					}
				}
			}
			slices.Sort(old)
			slices.Sort(sliced)
			return slices.Equal(old, wanted) && slices.Equal(sliced, wanted)
		})
	}
	conform(t, "[sig-network] Services should serve a basic endpoint from pods", func(t *T) {
		_, err := t.c.CoreV1().Services(t.ns).Create(t.ctx, service("ends", corev1.ServiceTypeClusterIP, corev1.ServicePort{Port: 80, TargetPort: intstr.FromInt32(80)}), metav1.CreateOptions{})
		t.ok(err)
		ends(t)
		backend(t, "pod1", "10.9.0.1")
		ends(t, "10.9.0.1:80")
		backend(t, "pod2", "10.9.0.2")
		ends(t, "10.9.0.1:80", "10.9.0.2:80")
		t.ok(t.c.CoreV1().Pods(t.ns).Delete(t.ctx, "pod1", metav1.DeleteOptions{}))
		ends(t, "10.9.0.2:80")
		t.ok(t.c.CoreV1().Pods(t.ns).Delete(t.ctx, "pod2", metav1.DeleteOptions{}))
		ends(t)
	})
	conform(t, "[sig-network] Services should serve multiport endpoints from pods", func(t *T) {
		_, err := t.c.CoreV1().Services(t.ns).Create(t.ctx, service("ends", corev1.ServiceTypeClusterIP,
			corev1.ServicePort{Name: "portname1", Port: 80, TargetPort: intstr.FromString("name1")}, corev1.ServicePort{Name: "portname2", Port: 81, TargetPort: intstr.FromString("name2")}), metav1.CreateOptions{})
		t.ok(err)
		ends(t)
		backend(t, "pod1", "10.9.0.1", corev1.ContainerPort{Name: "name1", ContainerPort: 100})
		ends(t, "10.9.0.1:100")
		backend(t, "pod2", "10.9.0.2", corev1.ContainerPort{Name: "name2", ContainerPort: 101})
		ends(t, "10.9.0.1:100", "10.9.0.2:101")
		t.ok(t.c.CoreV1().Pods(t.ns).Delete(t.ctx, "pod1", metav1.DeleteOptions{}))
		ends(t, "10.9.0.2:101")
	})
	conform(t, "[sig-network] EndpointSlice should create and delete Endpoints and EndpointSlices for a Service with a selector specified", func(t *T) {
		_, err := t.c.CoreV1().Services(t.ns).Create(t.ctx, service("ends", corev1.ServiceTypeClusterIP, corev1.ServicePort{Port: 80}), metav1.CreateOptions{})
		t.ok(err)
		var list *discoveryv1.EndpointSliceList
		count := func(n int) func() bool {
			return func() bool {
				list, err = t.c.DiscoveryV1().EndpointSlices(t.ns).List(t.ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=ends"})
				t.ok(err)
				return len(list.Items) == n
			}
		}
		t.eventually("one slice", count(1))
		t.want(list.Items[0].Labels["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io", "%v", list.Items[0].Labels)
		t.ok(t.c.CoreV1().Services(t.ns).Delete(t.ctx, "ends", metav1.DeleteOptions{}))
		t.eventually("no slices", count(0))
		gone(t, "the endpoints", func() error {
			_, err := t.c.CoreV1().Endpoints(t.ns).Get(t.ctx, "ends", metav1.GetOptions{})
			return err
		})
	})
}

func TestAddresses(t *testing.T) {
	conform(t, "[sig-network] Service CIDRs should support IPAddress API operations", func(t *T) {
		api := t.c.NetworkingV1().IPAddresses()
		owner, err := t.c.CoreV1().Services(t.ns).Create(t.ctx, service("owner", corev1.ServiceTypeClusterIP, corev1.ServicePort{Port: 80}), metav1.CreateOptions{})
		t.ok(err)
		a, err := api.Get(t.ctx, owner.Spec.ClusterIP, metav1.GetOptions{})
		t.ok(err)
		t.want(a.Spec.ParentRef != nil && a.Spec.ParentRef.Name == "owner" && a.Spec.ParentRef.Resource == "services" && a.Labels["ipaddress.kubernetes.io/ip-family"] == "IPv4" && a.Labels["ipaddress.kubernetes.io/managed-by"] == "ipallocator.k8s.io", "%+v", a)
		_, err = api.Patch(t.ctx, a.Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"patched":"true"}}}`), metav1.PatchOptions{})
		t.ok(err)
		_, err = api.Create(t.ctx, &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: "not-an-address"}, Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: "foo", Name: "bar"}}}, metav1.CreateOptions{})
		t.refused(err, apierrors.IsInvalid)
		t.ok(t.c.CoreV1().Services(t.ns).Delete(t.ctx, "owner", metav1.DeleteOptions{}))
		gone(t, "the address", func() error { _, err := api.Get(t.ctx, a.Name, metav1.GetOptions{}); return err })
	})
	conform(t, "[sig-network] Service CIDRs should support IPAddress API operations (made by hand)", func(t *T) {
		api := t.c.NetworkingV1().IPAddresses()
		selected := metav1.ListOptions{LabelSelector: "e2e=" + t.ns}
		for _, n := range []string{"192.168.7.1", "2001:db8::7"} {
			a, err := api.Create(t.ctx, &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: n, Labels: map[string]string{"e2e": t.ns}}, Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: "foo", Name: "bar"}}}, metav1.CreateOptions{})
			t.ok(err)
			a.Annotations = map[string]string{"updated": "true"}
			a, err = api.Update(t.ctx, a, metav1.UpdateOptions{})
			t.ok(err)
			t.want(a.Annotations["updated"] == "true", "%v", a.Annotations)
			_, err = api.Patch(t.ctx, n, types.MergePatchType, []byte(`{"spec":{"parentRef":{"name":"other"}}}`), metav1.PatchOptions{})
			t.refused(err, apierrors.IsInvalid, "field is immutable")
		}
		list, err := api.List(t.ctx, selected)
		t.ok(err)
		t.want(len(list.Items) == 2, "%d addresses", len(list.Items))
		t.ok(api.DeleteCollection(t.ctx, metav1.DeleteOptions{}, selected))
		list, err = api.List(t.ctx, selected)
		t.ok(err)
		t.want(len(list.Items) == 0, "%d addresses", len(list.Items))
	})
	conform(t, "[sig-network] Service CIDRs should support ServiceCIDRs API operations", func(t *T) {
		api := t.c.NetworkingV1().ServiceCIDRs()
		k, err := api.Get(t.ctx, "kubernetes", metav1.GetOptions{})
		t.ok(err)
		t.want(len(k.Spec.CIDRs) > 0, "%+v", k)
		made, err := api.Create(t.ctx, &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: name("cidr"), Labels: map[string]string{"e2e": t.ns}}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.196.196.0/24"}}}, metav1.CreateOptions{})
		t.ok(err)
		patched, err := api.Patch(t.ctx, made.Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"patched":"true"}}}`), metav1.PatchOptions{})
		t.ok(err)
		t.want(patched.Annotations["patched"] == "true", "%v", patched.Annotations)
		_, err = api.Patch(t.ctx, made.Name, types.MergePatchType, []byte(`{"spec":{"cidrs":["10.197.0.0/24"]}}`), metav1.PatchOptions{})
		t.refused(err, apierrors.IsInvalid)
		s, err := api.Patch(t.ctx, made.Name, types.MergePatchType, []byte(`{"status":{"conditions":[{"type":"Patched","status":"True","reason":"E2E","message":"","lastTransitionTime":"2024-01-01T00:00:00Z"}]}}`), metav1.PatchOptions{}, "status")
		t.ok(err)
		t.want(len(s.Status.Conditions) > 0, "%+v", s.Status)
		t.ok(api.DeleteCollection(t.ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "e2e=" + t.ns}))
		gone(t, "the range", func() error { _, err := api.Get(t.ctx, made.Name, metav1.GetOptions{}); return err })
	})
}
