package endpointslice

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

var key = controller.Key{Namespace: "a", Name: "web"}

func service(change func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web", UID: "svc", Labels: map[string]string{"l": "1"}},
		Spec: corev1.ServiceSpec{
			ClusterIP: "10.96.0.9", IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, Selector: map[string]string{"app": "x"},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("web"), Protocol: corev1.ProtocolTCP}},
		},
	}
	if change != nil {
		change(s)
	}
	return s
}

func pod(i int, ready bool, change func(*corev1.Pod)) *corev1.Pod {
	name := fmt.Sprintf("p%03d", i)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, UID: "", Labels: map[string]string{"app": "x"}},
		Spec:       corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "c", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}}}}},
		Status:     corev1.PodStatus{PodIP: fmt.Sprintf("10.0.%d.%d", i/250, i%250+1)},
	}
	p = controllertest.Running(p, ready, controllertest.Start)
	if change != nil {
		change(p)
	}
	return p
}

// text shows slices: "type ports [address state…]".
func text(t *testing.T, k *clienttest.Client) string {
	all, err := client.List[*discoveryv1.EndpointSlice](t.Context(), k, "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range all {
		var ports, eps []string
		for _, p := range s.Ports {
			ports = append(ports, fmt.Sprintf("%s:%d", *p.Name, *p.Port))
		}
		for _, e := range s.Endpoints {
			x := strings.Join(e.Addresses, "+")
			for flag, b := range map[string]*bool{"r": e.Conditions.Ready} {
				if b != nil && *b {
					x += " " + flag
				}
			}
			if val(e.Conditions.Serving) {
				x += "s"
			}
			if val(e.Conditions.Terminating) {
				x += "t"
			}
			if e.Zone != nil {
				x += " " + *e.Zone
			}
			if e.Hostname != nil {
				x += " " + *e.Hostname
			}
			if e.Hints != nil {
				x += fmt.Sprintf(" for %v", e.Hints.ForZones)
			}
			eps = append(eps, x)
		}
		out = append(out, fmt.Sprintf("%s %v %v", s.AddressType, ports, eps))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func node() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{corev1.LabelTopologyZone: "z"}}}
}

func TestStep(t *testing.T) {
	deleted := func(p *corev1.Pod) {
		at, grace := metav1.NewTime(controllertest.Start), int64(30)
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &at, &grace
	}
	for name, c := range map[string]struct {
		s    *corev1.Service
		pods []*corev1.Pod
		want string
	}{
		"none":                {service(nil), nil, "IPv4 [] []"},
		"ready and not":       {service(nil), []*corev1.Pod{pod(1, true, nil), pod(2, false, nil)}, "IPv4 [http:8080] [10.0.0.2 rs z 10.0.0.3 z]"},
		"terminating":         {service(nil), []*corev1.Pod{pod(1, true, deleted)}, "IPv4 [http:8080] [10.0.0.2st z]"},
		"ended":               {service(nil), []*corev1.Pod{pod(1, true, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })}, "IPv4 [] []"},
		"without an IP":       {service(nil), []*corev1.Pod{pod(1, true, func(p *corev1.Pod) { p.Status.PodIP = "" })}, "IPv4 [] []"},
		"on a lost node":      {service(nil), []*corev1.Pod{pod(1, true, func(p *corev1.Pod) { p.Spec.NodeName = "m" })}, "IPv4 [] []"},
		"not ready published": {service(func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true }), []*corev1.Pod{pod(1, false, deleted)}, "IPv4 [http:8080] [10.0.0.2 rt z]"},
		"dual stack": {service(func(s *corev1.Service) {
			s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}
		}), []*corev1.Pod{pod(1, true, func(p *corev1.Pod) { p.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.2"}, {IP: "fd00::2"}} })},
			"IPv4 [http:8080] [10.0.0.2 rs z]\nIPv6 [http:8080] [fd00::2 rs z]"},
		"named ports differ": {service(nil), []*corev1.Pod{pod(1, true, nil), pod(2, true, func(p *corev1.Pod) { p.Spec.Containers[0].Ports[0].ContainerPort = 9090 })},
			"IPv4 [http:8080] [10.0.0.2 rs z]\nIPv4 [http:9090] [10.0.0.3 rs z]"},
		"hostname": {service(nil), []*corev1.Pod{pod(1, true, func(p *corev1.Pod) { p.Spec.Hostname, p.Spec.Subdomain = "h", "web" })}, "IPv4 [http:8080] [10.0.0.2 rs z h]"},
		"near": {service(func(s *corev1.Service) {
			d := corev1.ServiceTrafficDistributionPreferSameZone
			s.Spec.TrafficDistribution = &d
		}), []*corev1.Pod{pod(1, true, nil), pod(2, false, nil)}, "IPv4 [http:8080] [10.0.0.2 rs z for [{z}] 10.0.0.3 z]"},
		"by hand": {service(func(s *corev1.Service) { s.Spec.Selector = nil }), []*corev1.Pod{pod(1, true, nil)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			k := clienttest.New(c.s, node())
			for _, p := range c.pods {
				k.Add(p)
			}
			if _, _, err := controllertest.Step(t, k, Spec(), key, controllertest.Start); err != nil {
				t.Fatal(err)
			}
			if got := text(t, k); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if again, _, err := controllertest.Step(t, k, Spec(), key, controllertest.Start); len(again) > 0 || err != nil {
				t.Errorf("not at rest: %q %v", again, err)
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	k := clienttest.New(service(func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }), node(), pod(1, true, nil))
	controllertest.Step(t, k, Spec(), key, controllertest.Start)
	all, _ := client.List[*discoveryv1.EndpointSlice](t.Context(), k, "a", nil)
	s := all[0]
	if s.GenerateName != "web-" || s.Labels["l"] != "1" || s.Labels[discoveryv1.LabelServiceName] != "web" || s.Labels[discoveryv1.LabelManagedBy] != managedBy ||
		s.OwnerReferences[0].Kind != "Service" || s.Annotations[corev1.EndpointsLastChangeTriggerTime] != "2026-01-01T00:00:00Z" {
		t.Errorf("%+v", s.ObjectMeta)
	}
	if _, ok := s.Labels[corev1.IsHeadlessService]; !ok {
		t.Error("not labelled headless")
	}
}

func TestPack(t *testing.T) {
	k := clienttest.New(service(nil), node())
	for i := range 150 {
		k.Add(pod(i, true, nil))
	}
	step := func() []string {
		t.Helper()
		got, _, err := controllertest.Step(t, k, Spec(), key, controllertest.Start.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i] = got[i][:6]
		}
		return got
	}
	controllertest.Equal(t, step(), []string{"create", "create"})
	// One more endpoint goes into the slice that has room; the other is not written.
	k.Add(pod(151, true, nil))
	controllertest.Equal(t, step(), []string{"update"})
	// One that changes is written where it is.
	k.Add(pod(3, false, nil))
	controllertest.Equal(t, step(), []string{"update"})
	// A change of the ports writes the same slices again.
	k.Add(service(func(s *corev1.Service) { s.Spec.Ports[0].Name = "h" }))
	controllertest.Equal(t, step(), []string{"update", "update"})
	// The last endpoints gone: one slice stays, to say so.
	k.Add(service(func(s *corev1.Service) { s.Spec.Selector["app"] = "none" }))
	controllertest.Equal(t, step(), []string{"update", "delete"})
	if got := text(t, k); got != "IPv4 [] []" {
		t.Error(got)
	}
}

func TestMirror(t *testing.T) {
	ep := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web"}, Subsets: []corev1.EndpointSubset{{
		Addresses: []corev1.EndpointAddress{{IP: "1.2.3.4"}, {IP: "fd00::1"}, {IP: "nonsense"}}, NotReadyAddresses: []corev1.EndpointAddress{{IP: "1.2.3.5"}},
		Ports: []corev1.EndpointPort{{Name: "p", Port: 1, Protocol: corev1.ProtocolTCP}},
	}}}
	k := clienttest.New(ep, service(func(s *corev1.Service) { s.Spec.Selector = nil }))
	got, _, err := controllertest.Step(t, k, Mirror(), key, controllertest.Start)
	if err != nil || !slices.Contains(got, "InvalidIPAddress Skipped 1 invalid IP addresses when mirroring to EndpointSlices") {
		t.Error(got, err)
	}
	if got := text(t, k); got != "IPv4 [p:1] [1.2.3.4 r 1.2.3.5]\nIPv6 [p:1] [fd00::1 r]" {
		t.Error(got)
	}
	if again, _, _ := controllertest.Step(t, k, Mirror(), key, controllertest.Start); len(again) > 0 {
		t.Errorf("not at rest: %q", again)
	}
	k.Add(service(nil))
	controllertest.Step(t, k, Mirror(), key, controllertest.Start)
	if got := text(t, k); got != "" {
		t.Error("left over: " + got)
	}
}
