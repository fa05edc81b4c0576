package apiserver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/store"
)

// serviceAllocator gives Services their cluster addresses and node ports, in the
// transaction that writes the Service. What is taken is read from the cache of Services; what is
// promised to writes that are still in flight is kept here.
type serviceAllocator struct {
	s        *Server
	services *cache
	first    netip.Addr
	size     uint32
	prefix   netip.Prefix

	mu       sync.Mutex
	promised map[string]struct{} // addresses and "port/30080"
}

func namespaceRow() *api.Resource { return all.For[*corev1.Namespace]() }

func (a *serviceAllocator) init(s *Server) {
	a.s = s
	a.services = s.cache(all.For[*corev1.Service]())
	a.promised = map[string]struct{}{}
	cidr := s.ServiceCIDR
	if cidr == nil {
		_, cidr, _ = net.ParseCIDR("10.96.0.0/12")
	}
	ip, _ := netip.AddrFromSlice(cidr.IP.To4())
	ones, bits := cidr.Mask.Size()
	a.prefix = netip.PrefixFrom(ip, ones)
	a.first = ip
	a.size = 1 << min(bits-ones, 20)
}

// Indexes of the Service row that tell what is taken.
const (
	indexClusterIP = "clusterIP"
	indexNodePort  = "nodePort"
)

// allocate completes a Service before it is written, and adds what must hold and be written with it. release takes
// back the promises; after the commit the cache tells that they are kept.
func (s *Server) allocate(t target, txn *store.Txn, o api.Object, old *entry) (release func(), err error) {
	svc, ok := o.(*corev1.Service)
	if !ok || t.sub != "" {
		return func() {}, nil
	}
	var was *corev1.Service
	if old != nil {
		was = old.object().(*corev1.Service)
	}
	a := &s.services
	a.mu.Lock()
	defer a.mu.Unlock()
	var taken []string
	release = func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, k := range taken {
			delete(a.promised, k)
		}
	}
	errs := a.addresses(svc, was, txn, &taken)
	errs = append(errs, a.nodePorts(svc, was, &taken)...)
	if len(errs) > 0 {
		for _, k := range taken {
			delete(a.promised, k)
		}
		return nil, apierrors.NewInvalid(t.res.GVK.GroupKind(), t.name, errs)
	}
	return release, nil
}

func (a *serviceAllocator) addresses(svc, was *corev1.Service, txn *store.Txn, taken *[]string) field.ErrorList {
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		svc.Spec.ClusterIP, svc.Spec.ClusterIPs, svc.Spec.IPFamilies, svc.Spec.IPFamilyPolicy = "", nil, nil, nil
		a.drop(was, txn)
		return nil
	}
	if errs := core.FitFamilies(&svc.Spec); len(errs) > 0 {
		return errs
	}
	path := field.NewPath("spec", "clusterIPs")
	if len(svc.Spec.ClusterIPs) > 0 && svc.Spec.ClusterIP == "" {
		svc.Spec.ClusterIP = svc.Spec.ClusterIPs[0]
	}
	switch ip := svc.Spec.ClusterIP; {
	case ip == corev1.ClusterIPNone:
	case was != nil && was.Spec.ClusterIP == ip && ip != "":
		return nil
	case ip == "":
		free, ok := a.free()
		if !ok {
			return field.ErrorList{field.InternalError(path, fmt.Errorf("failed to allocate a serviceIP: range is full"))}
		}
		svc.Spec.ClusterIP = free.String()
		a.take(svc, txn, taken)
	default:
		addr, err := netip.ParseAddr(ip)
		if err != nil || !a.prefix.Contains(addr) || addr == a.first {
			return field.ErrorList{field.Invalid(path, []string{ip}, fmt.Sprintf("failed to allocate IP %s: the provided IP (%s) is not in the valid range. The range of valid IPs is %s", ip, ip, a.prefix))}
		}
		if a.isTaken(ip) {
			return field.ErrorList{field.Invalid(path, []string{ip}, fmt.Sprintf("failed to allocate IP %s: provided IP is already allocated", ip))}
		}
		a.take(svc, txn, taken)
	}
	svc.Spec.ClusterIPs = []string{svc.Spec.ClusterIP}
	return nil
}

func (a *serviceAllocator) isTaken(ip string) bool {
	_, promised := a.promised[ip]
	return promised || len(a.services.byIndex(nil, indexClusterIP, ip)) > 0
}

// free picks a random address; the lower sixteenth is left for addresses that people choose, until the rest is full.
func (a *serviceAllocator) free() (netip.Addr, bool) {
	reserved := min(max(a.size/16, 16), 256)
	if reserved >= a.size/2 {
		reserved = 1
	}
	span := a.size - 1 - reserved
	at := func(n uint32) netip.Addr {
		b := a.first.As4()
		v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		v += n
		return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
	}
	for range 32 {
		ip := at(reserved + rand.Uint32N(span))
		if !a.isTaken(ip.String()) {
			return ip, true
		}
	}
	for n := a.size - 2; n > 0; n-- {
		if ip := at(n); !a.isTaken(ip.String()) {
			return ip, true
		}
	}
	return netip.Addr{}, false
}

// take promises the Service's address, and writes the IPAddress object that stands for it.
func (a *serviceAllocator) take(svc *corev1.Service, txn *store.Txn, taken *[]string) {
	ip := svc.Spec.ClusterIP
	a.promised[ip] = struct{}{}
	*taken = append(*taken, ip)
	o := &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{
			Name: ip, UID: uuid.NewUUID(), CreationTimestamp: metav1.Time{Time: a.s.now()}, Generation: 1,
			Labels: map[string]string{networkingv1.LabelIPAddressFamily: string(corev1.IPv4Protocol), networkingv1.LabelManagedBy: "ipallocator.k8s.io"},
		},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: svc.Namespace, Name: svc.Name}},
	}
	r := all.For[*networkingv1.IPAddress]()
	e, err := newEntry(r, r.Key("", ip), o)
	if err != nil {
		return
	}
	txn.If = append(txn.If, store.Compare{Key: e.key})
	txn.Then = append(txn.Then, store.Op{Key: e.key, Value: e.value, Ref: e})
}

// drop removes the IPAddress of a Service that gives its address back.
func (a *serviceAllocator) drop(was *corev1.Service, txn *store.Txn) {
	if was == nil || was.Spec.ClusterIP == "" || was.Spec.ClusterIP == corev1.ClusterIPNone {
		return
	}
	r := all.For[*networkingv1.IPAddress]()
	key := r.Key("", was.Spec.ClusterIP)
	if a.s.cache(r).get(key) != nil {
		txn.Then = append(txn.Then, store.Op{Key: key, Delete: true})
	}
}

// releaseOps adds what goes away together with a deleted object.
func (s *Server) releaseOps(t target, txn *store.Txn, cur *entry) {
	if svc, ok := cur.object().(*corev1.Service); ok {
		s.services.drop(svc, txn)
	}
}

func (a *serviceAllocator) nodePorts(svc, was *corev1.Service, taken *[]string) field.ErrorList {
	if svc.Spec.Type != corev1.ServiceTypeNodePort && svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return nil
	}
	if svc.Spec.Type == corev1.ServiceTypeLoadBalancer && svc.Spec.AllocateLoadBalancerNodePorts != nil && !*svc.Spec.AllocateLoadBalancerNodePorts {
		return nil
	}
	own := map[int32]bool{}
	if was != nil {
		for _, p := range was.Spec.Ports {
			own[p.NodePort] = true
		}
		own[was.Spec.HealthCheckNodePort] = true
	}
	var errs field.ErrorList
	mine := map[int32]corev1.Protocol{}
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if p.NodePort == 0 {
			continue
		}
		path := field.NewPath("spec", "ports").Index(i).Child("nodePort")
		// The same number may serve two protocols of one Service.
		if proto, ok := mine[p.NodePort]; ok && proto != p.Protocol || own[p.NodePort] {
			mine[p.NodePort] = p.Protocol
			continue
		}
		if msg := a.portProblem(p.NodePort); msg != "" {
			errs = append(errs, field.Invalid(path, p.NodePort, msg))
			continue
		}
		mine[p.NodePort] = p.Protocol
		a.promisePort(p.NodePort, taken)
	}
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if p.NodePort != 0 {
			continue
		}
		free, ok := a.freePort()
		if !ok {
			return append(errs, field.InternalError(field.NewPath("spec", "ports").Index(i).Child("nodePort"), fmt.Errorf("failed to allocate a nodePort: range is full")))
		}
		p.NodePort = free
		a.promisePort(free, taken)
	}
	if svc.Spec.Type == corev1.ServiceTypeLoadBalancer && svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal && svc.Spec.HealthCheckNodePort == 0 {
		if free, ok := a.freePort(); ok {
			svc.Spec.HealthCheckNodePort = free
			a.promisePort(free, taken)
		}
	}
	return errs
}

func (a *serviceAllocator) promisePort(port int32, taken *[]string) {
	k := portKey(port)
	a.promised[k] = struct{}{}
	*taken = append(*taken, k)
}

func portKey(port int32) string { return "port/" + strconv.Itoa(int(port)) }

func (a *serviceAllocator) portProblem(port int32) string {
	low, high := a.s.NodePortBase, a.s.NodePortBase+a.s.NodePortSize-1
	if int(port) < low || int(port) > high {
		return fmt.Sprintf("provided port is not in the valid range. The range of valid ports is %d-%d", low, high)
	}
	if a.portTaken(port) {
		return "provided port is already allocated"
	}
	return ""
}

func (a *serviceAllocator) portTaken(port int32) bool {
	_, promised := a.promised[portKey(port)]
	return promised || len(a.services.byIndex(nil, indexNodePort, strconv.Itoa(int(port)))) > 0
}

func (a *serviceAllocator) freePort() (int32, bool) {
	for range 32 {
		p := int32(a.s.NodePortBase + rand.IntN(a.s.NodePortSize))
		if !a.portTaken(p) {
			return p, true
		}
	}
	for p := a.s.NodePortBase + a.s.NodePortSize - 1; p >= a.s.NodePortBase; p-- {
		if !a.portTaken(int32(p)) {
			return int32(p), true
		}
	}
	return 0, false
}

// carryService keeps what an update leaves out but was allocated before.
func carryService(next, was *corev1.Service) {
	needsIP := func(s *corev1.Service) bool { return s.Spec.Type != corev1.ServiceTypeExternalName }
	needsPort := func(s *corev1.Service) bool {
		return s.Spec.Type == corev1.ServiceTypeNodePort || s.Spec.Type == corev1.ServiceTypeLoadBalancer
	}
	if needsIP(next) && needsIP(was) {
		if next.Spec.ClusterIP == "" {
			next.Spec.ClusterIP = was.Spec.ClusterIP
		}
		if len(next.Spec.ClusterIPs) == 0 && next.Spec.ClusterIP == was.Spec.ClusterIP {
			next.Spec.ClusterIPs = was.Spec.ClusterIPs
		}
		if len(next.Spec.IPFamilies) == 0 {
			next.Spec.IPFamilies = was.Spec.IPFamilies
		}
		if next.Spec.IPFamilyPolicy == nil {
			next.Spec.IPFamilyPolicy = was.Spec.IPFamilyPolicy
		}
	}
	if needsIP(was) && !needsIP(next) && next.Spec.ClusterIP == was.Spec.ClusterIP {
		next.Spec.ClusterIP, next.Spec.ClusterIPs, next.Spec.IPFamilies, next.Spec.IPFamilyPolicy = "", nil, nil, nil
	}
	type portKey struct {
		protocol corev1.Protocol
		port     int32
	}
	had := map[portKey]int32{}
	for _, p := range was.Spec.Ports {
		had[portKey{p.Protocol, p.Port}] = p.NodePort
	}
	for i := range next.Spec.Ports {
		p := &next.Spec.Ports[i]
		before := had[portKey{p.Protocol, p.Port}]
		switch {
		case needsPort(next) && needsPort(was) && p.NodePort == 0:
			p.NodePort = before
		case !needsPort(next) && needsPort(was) && p.NodePort == before:
			p.NodePort = 0
		}
	}
	// The port for health checks goes with what it is for.
	checked := func(s *corev1.Service) bool {
		return s.Spec.Type == corev1.ServiceTypeLoadBalancer && s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
	}
	switch port := was.Spec.HealthCheckNodePort; {
	case checked(next) && next.Spec.HealthCheckNodePort == 0:
		next.Spec.HealthCheckNodePort = port
	case checked(was) && !checked(next) && next.Spec.HealthCheckNodePort == port:
		next.Spec.HealthCheckNodePort = 0
	}
}
