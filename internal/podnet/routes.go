package podnet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
)

// routeProtocol marks our routes in the kernel's table, so that none of anybody else is touched.
const routeProtocol = 83

// nodeRoute is how the pods of another node are reached.
type nodeRoute struct {
	pods netip.Prefix
	via  netip.Addr
}

// FollowNodes keeps a route to the pods of every other node, through the node's InternalIP:
// nodes must be neighbours on one network. It returns when the context ends; errors of the API
// and of single routes are logged and tried again.
func (a *Agent) FollowNodes(ctx context.Context, c client.Client, self string) error {
	for {
		err := a.followNodes(ctx, c, self)
		if ctx.Err() != nil {
			return nil
		}
		a.Log.Warn("watch of nodes ended; beginning anew", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// reconcileRoutes is how often routes that somebody removed, or that could not be
// made since the network was not up, come back.
const reconcileRoutes = 30 * time.Second

func (a *Agent) followNodes(ctx context.Context, c client.Client, self string) error {
	w, err := c.Watch(ctx, all.For[*corev1.Node](), "", client.Selector{}, -1)
	if err != nil {
		return err
	}
	defer w.Close()
	nodes := map[string][]nodeRoute{}
	synced := false
	for {
		next, cancel := context.WithTimeout(ctx, reconcileRoutes)
		events, err := w.Next(next)
		expired := next.Err() != nil
		cancel()
		if err != nil && (!expired || ctx.Err() != nil) {
			return err
		}
		for _, e := range events {
			if e.Synced() {
				synced = true
				continue
			}
			n := e.Object.(*corev1.Node)
			if e.Type == watch.Deleted || n.Name == self {
				delete(nodes, n.Name)
			} else {
				nodes[n.Name] = routesOf(n)
			}
		}
		// Before that, the routes of nodes not told yet would be taken away.
		if !synced {
			continue
		}
		if err := a.setRoutes(nodes); err != nil {
			a.Log.Warn("routes to other nodes", "err", err)
		}
	}
}

// routesOf are the routes to a node's pods: none until it has a range and an address.
func routesOf(n *corev1.Node) []nodeRoute {
	var via netip.Addr
	for _, addr := range n.Status.Addresses {
		ip, err := netip.ParseAddr(addr.Address)
		if addr.Type == corev1.NodeInternalIP && err == nil && ip.Is4() {
			via = ip
			break
		}
	}
	if !via.IsValid() {
		return nil
	}
	cidrs := n.Spec.PodCIDRs
	if len(cidrs) == 0 && n.Spec.PodCIDR != "" {
		cidrs = []string{n.Spec.PodCIDR}
	}
	var out []nodeRoute
	for _, s := range cidrs {
		if p, err := netip.ParsePrefix(s); err == nil && p.Addr().Is4() {
			out = append(out, nodeRoute{p.Masked(), via})
		}
	}
	return out
}

// setRoutes makes our routes of the kernel's table those of the nodes.
func (a *Agent) setRoutes(nodes map[string][]nodeRoute) error {
	want := map[netip.Prefix]netip.Addr{}
	for _, rs := range nodes {
		for _, r := range rs {
			// Inside the cluster's range and not this node's: a wrong object must not
			// take over the node's own networks.
			if r.pods != a.PodCIDR && a.ClusterCIDR.Contains(r.pods.Addr()) && r.pods.Bits() >= a.ClusterCIDR.Bits() {
				want[r.pods] = r.via
			}
		}
	}
	have, err := ourRoutes()
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range have {
		dst, _ := netip.ParsePrefix(r.Dst.String())
		via, _ := netip.AddrFromSlice(r.Gw)
		if want[dst] == via.Unmap() && via.IsValid() {
			delete(want, dst)
		} else if _, replaced := want[dst]; !replaced {
			errs = append(errs, deleteRoute(r))
		}
	}
	for dst, via := range want {
		r := &netlink.Route{Dst: ipNet(dst), Gw: via.AsSlice(), Protocol: routeProtocol}
		if err := netlink.RouteReplace(r); err != nil {
			errs = append(errs, fmt.Errorf("route to %s via %s: %w", dst, via, err))
		}
	}
	return errors.Join(errs...)
}

func ourRoutes() ([]netlink.Route, error) {
	rs, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Protocol: routeProtocol}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return rs, nil
}

func deleteRoute(r netlink.Route) error {
	if err := netlink.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("remove route %s: %w", r.Dst, err)
	}
	return nil
}

func removeRoutes() error {
	rs, err := ourRoutes()
	if err != nil {
		return err
	}
	for _, r := range rs {
		if err := deleteRoute(r); err != nil {
			return err
		}
	}
	return nil
}
