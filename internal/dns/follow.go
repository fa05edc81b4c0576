package dns

import (
	"context"
	"net/netip"
	"strings"
	"sync"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
)

// follow keeps the zone what the API says; synced is closed when it first is.
func (s *Server) follow(ctx context.Context, synced chan struct{}) error {
	var first sync.WaitGroup
	first.Add(2)
	errs := make(chan error, 2)
	for _, f := range []struct {
		kind  *api.Resource
		apply func(client.Event)
	}{{all.For[*corev1.Service](), s.service}, {all.For[*discoveryv1.EndpointSlice](), s.slice}} {
		done := sync.OnceFunc(first.Done)
		go func() {
			defer done()
			errs <- s.followKind(ctx, f.kind, f.apply, done)
		}()
	}
	first.Wait()
	close(synced)
	err := <-errs
	if ctx.Err() != nil {
		<-errs
	}
	return err
}

func (s *Server) followKind(ctx context.Context, r *api.Resource, apply func(client.Event), synced func()) error {
	for {
		w, err := s.Client.Watch(ctx, r, "", client.Selector{}, -1)
		if err != nil {
			return err
		}
		// Objects that went while nobody watched are found by what is not told again.
		seen := map[string]api.Object{}
		for {
			var events []client.Event
			if events, err = w.Next(ctx); err != nil {
				break
			}
			for _, e := range events {
				if e.Synced() {
					synced()
					continue
				}
				key := e.Object.GetNamespace() + "/" + e.Object.GetName()
				seen[key] = e.Object
				if e.Type == watch.Deleted {
					delete(seen, key)
				}
				apply(e)
			}
		}
		w.Close()
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return err
		}
		for _, o := range seen {
			apply(client.Event{Type: watch.Deleted, Object: o})
		}
	}
}

func (s *Server) service(e client.Event) {
	o := e.Object.(*corev1.Service)
	if e.Type == watch.Deleted {
		s.zone.drop(o.Namespace, o.Name)
		return
	}
	sv := &service{name: o.Name, namespace: o.Namespace}
	if o.Spec.Type == corev1.ServiceTypeExternalName {
		sv.external = dns.Fqdn(o.Spec.ExternalName)
	}
	for _, ip := range o.Spec.ClusterIPs {
		if a, err := netip.ParseAddr(ip); err == nil {
			sv.ips = append(sv.ips, a)
		}
	}
	for _, p := range o.Spec.Ports {
		sv.ports = append(sv.ports, port{p.Name, strings.ToLower(string(p.Protocol)), uint16(p.Port)})
	}
	s.zone.put(sv)
}

func (s *Server) slice(e client.Event) {
	o := e.Object.(*discoveryv1.EndpointSlice)
	name := o.Labels[discoveryv1.LabelServiceName]
	if name == "" {
		return
	}
	if e.Type == watch.Deleted {
		s.zone.putSlice(o.Namespace, name, o.Name, nil)
		return
	}
	var ports []port
	for _, p := range o.Ports {
		out := port{}
		if p.Name != nil {
			out.name = *p.Name
		}
		if p.Protocol != nil {
			out.protocol = strings.ToLower(string(*p.Protocol))
		}
		if p.Port != nil {
			out.number = uint16(*p.Port)
		}
		ports = append(ports, out)
	}
	es := []endpoint{}
	for _, ep := range o.Endpoints {
		if ep.Conditions.Ready != nil && !*ep.Conditions.Ready {
			continue
		}
		for _, addr := range ep.Addresses {
			ip, err := netip.ParseAddr(addr)
			if err != nil {
				continue
			}
			out := endpoint{ip: ip, host: hostLabel(ip), ports: ports}
			if ep.Hostname != nil && *ep.Hostname != "" {
				out.host, out.named = *ep.Hostname, true
			}
			es = append(es, out)
		}
	}
	s.zone.putSlice(o.Namespace, name, o.Name, es)
}
