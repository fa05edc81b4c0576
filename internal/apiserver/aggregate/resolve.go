package aggregate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// hostOf is where a port of a service is reached, as host:port.
func hostOf(s *corev1.Service, port int32) (string, error) {
	number := strconv.Itoa(int(port))
	switch s.Spec.Type {
	case corev1.ServiceTypeExternalName:
		return net.JoinHostPort(s.Spec.ExternalName, number), nil
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
	default:
		return "", fmt.Errorf("unsupported service type %q", s.Spec.Type)
	}
	if s.Spec.ClusterIP == corev1.ClusterIPNone {
		return "", errors.New(`cannot route to service with ClusterIP "None"`)
	}
	if net.ParseIP(s.Spec.ClusterIP) == nil {
		return "", fmt.Errorf("cannot route to service with ClusterIP %q", s.Spec.ClusterIP)
	}
	if _, ok := portNamed(s, port); !ok {
		return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", port, s.Name))
	}
	return net.JoinHostPort(s.Spec.ClusterIP, number), nil
}

// portNamed is the name of a port of the service, which endpoints know it by.
func portNamed(s *corev1.Service, port int32) (name string, ok bool) {
	for _, p := range s.Spec.Ports {
		if p.Port == port {
			return p.Name, true
		}
	}
	return "", false
}

// dial connects to a backend. Names (of external services) are looked up here, and
// what was found and checked is what is dialled: a second answer could be another one.
func (a *Aggregator) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ips := []net.IP{net.ParseIP(host)}
	if ips[0] == nil {
		if ips, err = a.lookup(ctx, "ip", host); err != nil {
			return nil, err
		}
	}
	err = fmt.Errorf("no address of %s may be connected to", host)
	for _, ip := range ips {
		if !outside(ip) {
			continue
		}
		var c net.Conn
		if c, err = a.Dial(ctx, network, net.JoinHostPort(ip.String(), port)); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// outside refuses what only this host could reach: its loopback, link-local
// addresses (cloud metadata), multicast, broadcast and the like.
func outside(ip net.IP) bool { return ip.IsGlobalUnicast() && !ip.IsLoopback() }
