package aggregate

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

func TestJudge(t *testing.T) {
	port := int32(443)
	ref := &apiregistrationv1.ServiceReference{Namespace: "kube-system", Name: "metrics", Port: &port}
	with := func(f func(s *seen)) seen {
		s := seen{service: service(), slices: []*discoveryv1.EndpointSlice{endpoints(true)}}
		f(&s)
		return s
	}
	other := "other"
	for _, c := range []struct {
		name string
		seen seen
		want string
		ask  bool
	}{
		{"all there", with(func(*seen) {}), "True Passed: all checks passed", true},
		{"no service", with(func(s *seen) { s.serviceErr = apierrors.NewNotFound(corev1.Resource("services"), "metrics") }), `False ServiceNotFound: service/metrics in "kube-system" is not present`, false},
		{"unreadable service", with(func(s *seen) { s.serviceErr = errors.New("broken") }), `Unknown ServiceAccessError: service/metrics in "kube-system" cannot be checked due to: broken`, false},
		{"another port", with(func(s *seen) { s.service.Spec.Ports[0].Port = 8443 }), `False ServicePortError: service/metrics in "kube-system" is not listening on port 443`, false},
		{"unreadable slices", with(func(s *seen) { s.slicesErr = errors.New("broken") }), `Unknown EndpointsAccessError: service/metrics in "kube-system" cannot be checked due to: broken`, false},
		{"no slices", with(func(s *seen) { s.slices = nil }), `False EndpointsNotFound: cannot find endpointslices for service/metrics in "kube-system"`, false},
		{"nothing ready", with(func(s *seen) { s.slices = []*discoveryv1.EndpointSlice{endpoints(false)} }), `False MissingEndpoints: endpointslices for service/metrics in "kube-system" have no addresses with port name "https"`, false},
		{"no endpoints", with(func(s *seen) { s.slices[0].Endpoints = nil }), `False MissingEndpoints: endpointslices for service/metrics in "kube-system" have no addresses with port name "https"`, false},
		{"the port of another", with(func(s *seen) { s.slices[0].Ports[0].Name = &other }), `False MissingEndpoints: endpointslices for service/metrics in "kube-system" have no addresses with port name "https"`, false},
		{"ready and port in two slices", with(func(s *seen) {
			s.slices = append(s.slices, endpoints(false))
			s.slices[0].Ports[0].Name = &other
		}), `False MissingEndpoints: endpointslices for service/metrics in "kube-system" have no addresses with port name "https"`, false},
		{"one of two slices", with(func(s *seen) { s.slices = append(s.slices, endpoints(false)) }), "True Passed: all checks passed", true},
		{"readiness unknown", with(func(s *seen) { s.slices[0].Endpoints[0].Conditions.Ready = nil }), "True Passed: all checks passed", true},
		{"no names", with(func(s *seen) { s.service.Spec.Ports[0].Name = ""; s.slices[0].Ports[0].Name = nil }), "True Passed: all checks passed", true},
		{"external", with(func(s *seen) { s.service.Spec.Type = corev1.ServiceTypeExternalName; s.slices = nil }), "True Passed: all checks passed", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ask := judge(ref, c.seen)
			if text := string(got.Status) + " " + got.Reason + ": " + got.Message; text != c.want || ask != c.ask {
				t.Errorf("got %s, ask %v", text, ask)
			}
		})
	}
}

func TestHostOf(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*corev1.Service)
		want   string
	}{
		{"cluster IP", func(*corev1.Service) {}, "10.96.0.10:443"},
		{"IPv6", func(s *corev1.Service) { s.Spec.ClusterIP = "fd00::10" }, "[fd00::10]:443"},
		{"load balancer", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeLoadBalancer }, "10.96.0.10:443"},
		{"headless", func(s *corev1.Service) { s.Spec.ClusterIP = "None" }, `error: cannot route to service with ClusterIP "None"`},
		{"no address yet", func(s *corev1.Service) { s.Spec.ClusterIP = "" }, `error: cannot route to service with ClusterIP ""`},
		{"another port", func(s *corev1.Service) { s.Spec.Ports[0].Port = 1 }, `error: no service port 443 found for service "metrics"`},
		{"external", func(s *corev1.Service) {
			s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "a.example.com"}
		}, "a.example.com:443"},
		{"unknown type", func(s *corev1.Service) { s.Spec.Type = "Odd" }, `error: unsupported service type "Odd"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := service()
			c.change(s)
			got, err := hostOf(s, 443)
			if err != nil {
				got = "error: " + err.Error()
			}
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s", got)
			}
		})
	}
}
