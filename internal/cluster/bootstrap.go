package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/apiserver/aggregate"
	"github.com/skiff-k8s/skiff/internal/apiserver/flow"
	"github.com/skiff-k8s/skiff/internal/client"
)

// serviceAddress is the n-th address of the service network: the first is the
// API server's, the tenth the DNS server's.
func serviceAddress(cidr string, n int) (string, error) {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return "", err
	}
	ip := p.Addr()
	for range n {
		ip = ip.Next()
	}
	if !p.Contains(ip) {
		return "", fmt.Errorf("service network %s has no address number %d", cidr, n)
	}
	return ip.String(), nil
}

// bootstrap makes the objects that every cluster has. It changes nothing that is there already.
func bootstrap(ctx context.Context, c client.Client, cfg *Config, p *pki) error {
	for _, name := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease} {
		if err := ensure(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	never := corev1.PreemptLowerPriority
	for name, class := range map[string]schedulingv1.PriorityClass{
		"system-cluster-critical": {Value: 2000000000, Description: "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."},
		"system-node-critical":    {Value: 2000001000, Description: "Used for system critical pods that must not be moved from their current node."},
	} {
		class.Name, class.PreemptionPolicy = name, &never
		if err := ensure(ctx, c, &class); err != nil {
			return err
		}
	}
	if err := ensure(ctx, c, &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{cfg.ServiceCIDR}}}); err != nil {
		return err
	}
	if err := bootstrapTrust(ctx, c, p); err != nil {
		return err
	}
	if err := bootstrapFlow(ctx, c); err != nil {
		return err
	}
	return bootstrapServices(ctx, c, cfg)
}

// bootstrapTrust tells other API servers whom to believe who a user is.
func bootstrapTrust(ctx context.Context, c client.Client, p *pki) error {
	want := aggregate.TrustMap(p.caPEM, p.front.caPEM, []string{proxyName})
	if err := ensure(ctx, c, want.DeepCopy()); err != nil {
		return err
	}
	have, err := client.Get[*corev1.ConfigMap](ctx, c, want.Namespace, want.Name)
	if err != nil || maps.Equal(have.Data, want.Data) {
		return err
	}
	next := have.DeepCopy()
	next.Data = want.Data
	_, err = client.Update(ctx, c, next)
	return err
}

// bootstrapFlow makes the priority levels and flow schemas that Kubernetes
// suggests, all at once: together they cost one sync of the disk.
func bootstrapFlow(ctx context.Context, c client.Client) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	add := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	for _, o := range flow.Levels() {
		add(func() error { return ensure(ctx, c, o) })
	}
	for _, o := range flow.Schemas() {
		add(func() error { return ensure(ctx, c, o) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func bootstrapServices(ctx context.Context, c client.Client, cfg *Config) error {
	first, err := serviceAddress(cfg.ServiceCIDR, 1)
	if err != nil {
		return err
	}
	if err := ensure(ctx, c, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "kubernetes", Namespace: metav1.NamespaceDefault, Labels: map[string]string{"component": "apiserver", "provider": "kubernetes"}},
		Spec: corev1.ServiceSpec{ClusterIP: first, Type: corev1.ServiceTypeClusterIP,
			Ports: []corev1.ServicePort{{Name: "https", Protocol: corev1.ProtocolTCP, Port: 443, TargetPort: intstr.FromInt(cfg.SecurePort)}}},
	}); err != nil {
		return err
	}
	ports := []endpointPort{{"https", int32(cfg.SecurePort), corev1.ProtocolTCP}}
	if err := pointService(ctx, c, metav1.NamespaceDefault, "kubernetes", cfg.NodeIP, ports); err != nil {
		return err
	}
	if cfg.ControlPlaneOnly {
		return nil
	}
	tenth, err := serviceAddress(cfg.ServiceCIDR, 10)
	if err != nil {
		return err
	}
	return ensure(ctx, c, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "kube-dns", Namespace: metav1.NamespaceSystem, Labels: map[string]string{"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}},
		Spec: corev1.ServiceSpec{ClusterIP: tenth, Type: corev1.ServiceTypeClusterIP, Ports: []corev1.ServicePort{
			{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53, TargetPort: intstr.FromInt(53)},
			{Name: "dns-tcp", Protocol: corev1.ProtocolTCP, Port: 53, TargetPort: intstr.FromInt(53)},
		}},
	})
}

type endpointPort struct {
	name     string
	port     int32
	protocol corev1.Protocol
}

// pointService makes the Endpoints and the EndpointSlice of a Service without a
// selector say address; they are ours, and follow when the address changes.
func pointService(ctx context.Context, c client.Client, ns, name, address string, ports []endpointPort) error {
	ready := true
	ep := &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns, Labels: map[string]string{discoveryv1.LabelSkipMirror: "true"}},
		Subsets:    []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: address}}}},
	}
	sl := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Namespace: ns, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	}
	for _, p := range ports {
		ep.Subsets[0].Ports = append(ep.Subsets[0].Ports, corev1.EndpointPort{Name: p.name, Port: p.port, Protocol: p.protocol})
		sl.Ports = append(sl.Ports, discoveryv1.EndpointPort{Name: &p.name, Port: &p.port, Protocol: &p.protocol})
	}
	if err := ensureLike(ctx, c, ep, func(have *corev1.Endpoints) bool { return equality.Semantic.DeepEqual(have.Subsets, ep.Subsets) }); err != nil {
		return err
	}
	return ensureLike(ctx, c, sl, func(have *discoveryv1.EndpointSlice) bool {
		return equality.Semantic.DeepEqual(have.Ports, sl.Ports) && len(have.Endpoints) == 1 && equality.Semantic.DeepEqual(have.Endpoints[0].Addresses, sl.Endpoints[0].Addresses)
	})
}

// ensure creates an object unless there is one of that name.
func ensure[T api.Object](ctx context.Context, c client.Client, o T) error {
	_, err := client.Get[T](ctx, c, o.GetNamespace(), o.GetName())
	if !apierrors.IsNotFound(err) {
		return err
	}
	if _, err = client.Create(ctx, c, o); apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// ensureLike creates the object, or replaces one that is not like it.
func ensureLike[T api.Object](ctx context.Context, c client.Client, o T, like func(T) bool) error {
	have, err := client.Get[T](ctx, c, o.GetNamespace(), o.GetName())
	switch {
	case apierrors.IsNotFound(err):
		_, err = client.Create(ctx, c, o)
		return err
	case err != nil || like(have):
		return err
	}
	_, err = client.Update(ctx, c, o)
	return err
}
