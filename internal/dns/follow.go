package dns

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
)

// feed is a kind of objects that the zone is made of.
type feed struct {
	kind *api.Resource
	put  func(api.Object)
	drop func(key)
}

func (s *Server) feeds() []feed {
	z := s.zone
	return []feed{
		{all.For[*corev1.Namespace](), func(o api.Object) { z.setNamespace(o.GetName(), true) }, func(k key) { z.setNamespace(k.name, false) }},
		{all.For[*corev1.Service](), func(o api.Object) { z.setService(keyOf(o), trimService(o.(*corev1.Service))) }, func(k key) { z.setService(k, nil) }},
		{all.For[*discoveryv1.EndpointSlice](), func(o api.Object) { z.setSlice(keyOf(o), trimSlice(o.(*discoveryv1.EndpointSlice))) }, func(k key) { z.setSlice(k, nil) }},
	}
}

func keyOf(o api.Object) key { return key{o.GetNamespace(), o.GetName()} }

// follow keeps the zone what the API says until the context ends; synced is closed when it first
// is. While the API does not answer, the last state goes on answering.
func (s *Server) follow(ctx context.Context, synced chan struct{}) {
	var first, all sync.WaitGroup
	for _, f := range s.feeds() {
		first.Add(1)
		done := sync.OnceFunc(first.Done)
		all.Go(func() {
			defer done()
			known := map[key]bool{}
			for {
				err := s.followOnce(ctx, f, known, done)
				if ctx.Err() != nil {
					return
				}
				if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
					continue
				}
				s.Log.Warn("watch ended; beginning anew", "kind", f.kind.GVK.Kind, "err", err)
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
			}
		})
	}
	first.Wait()
	close(synced)
	all.Wait()
}

// followOnce follows one watch to its end. known is what the zone has of the kind: what is
// not told again in a new beginning is gone.
func (s *Server) followOnce(ctx context.Context, f feed, known map[key]bool, synced func()) error {
	w, err := s.Client.Watch(ctx, f.kind, "", client.Selector{}, -1)
	if err != nil {
		return err
	}
	defer w.Close()
	fresh := map[key]bool{}
	for {
		events, err := w.Next(ctx)
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Synced() {
				for k := range known {
					if fresh != nil && !fresh[k] {
						delete(known, k)
						f.drop(k)
					}
				}
				fresh = nil
				synced()
				continue
			}
			k := keyOf(e.Object)
			if e.Type == watch.Deleted {
				delete(known, k)
				f.drop(k)
				continue
			}
			known[k] = true
			if fresh != nil {
				fresh[k] = true
			}
			f.put(e.Object)
		}
	}
}

// trimService keeps what names need.
func trimService(o *corev1.Service) *service {
	s := &service{}
	if o.Spec.Type == corev1.ServiceTypeExternalName {
		s.external = dns.Fqdn(o.Spec.ExternalName)
		return s
	}
	ips := o.Spec.ClusterIPs
	if len(ips) == 0 {
		ips = []string{o.Spec.ClusterIP}
	}
	for _, ip := range ips {
		if a, err := netip.ParseAddr(ip); err == nil { // "None" and "" are none
			s.ips = append(s.ips, a)
		}
	}
	for _, p := range o.Spec.Ports {
		s.ports = append(s.ports, port{p.Name, protocol(&p.Protocol), uint16(p.Port)})
	}
	return s
}

func protocol(p *corev1.Protocol) string {
	if p == nil || *p == "" {
		return "tcp"
	}
	return strings.ToLower(string(*p))
}

// trimSlice keeps the endpoints that are ready: those of a Service that publishes the others
// too are marked ready by their controller. It is nil for a slice of no Service.
func trimSlice(o *discoveryv1.EndpointSlice) *slice {
	s := &slice{service: o.Labels[discoveryv1.LabelServiceName]}
	if s.service == "" {
		return nil
	}
	for _, p := range o.Ports {
		out := port{protocol: protocol(p.Protocol)}
		if p.Name != nil {
			out.name = *p.Name
		}
		if p.Port != nil {
			out.number = uint16(*p.Port)
		}
		s.ports = append(s.ports, out)
	}
	for _, e := range o.Endpoints {
		if e.Conditions.Ready != nil && !*e.Conditions.Ready {
			continue
		}
		host := ""
		if e.Hostname != nil {
			host = fold(*e.Hostname)
		}
		for _, addr := range e.Addresses {
			if ip, err := netip.ParseAddr(addr); err == nil {
				s.endpoints = append(s.endpoints, endpoint{ip, host})
			}
		}
	}
	return s
}
