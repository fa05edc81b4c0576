package proxy

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// TestGolden runs the commands of testdata/*.txt; what each changes follows it
// after a line of dashes, up to an empty line:
//
//	service NAME IP[,IP] [port=N] [nodeport=N] [affinity[=SECONDS]] [local] [internal-local] [udp]
//	        [external=IP] [lb=IP] [allow=PREFIX,…] [age=N]
//	slice SERVICE [IP[@NODE][/zone=Z][/ending][/down]]…
//	delete service|slice NAME
//	zone ZONE
//	dump NAME
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { golden(t, file) })
	}
}

func golden(t *testing.T, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := NewState(Node{Name: "here", IPs: []netip.Addr{netip.MustParseAddr("192.168.50.1")}})
	tb := table{}
	var out strings.Builder
	var commands []string
	skip := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case skip && line == "":
			skip = false
		case skip:
		case line == "----":
			fmt.Fprintf(&out, "%s\n----\n%s\n", strings.Join(commands, "\n"), run(t, s, tb, commands))
			commands, skip = nil, true
		case strings.HasPrefix(line, "#") || line == "":
			fmt.Fprintln(&out, line)
		default:
			commands = append(commands, line)
		}
	}
	got := strings.TrimRight(out.String(), "\n") + "\n"
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(b) {
		t.Errorf("%s differs (go test -run Golden -rewrite shows how); now\n%s", file, got)
	}
}

func run(t *testing.T, s *State, tb table, commands []string) string {
	t.Helper()
	var out strings.Builder
	for _, c := range commands {
		f := strings.Fields(c)
		switch f[0] {
		case "service":
			s.SetService(parseService(t, f[1:]))
		case "slice":
			s.SetSlice(parseSlice(t, f[1:]))
		case "delete":
			if f[1] == "service" {
				s.DeleteService("default", f[2])
			} else {
				s.DeleteSlice("default", f[2]+"-x")
			}
		case "zone":
			n := s.node
			n.Zone = f[1]
			s.SetNode(n)
		case "dump":
			if err := s.Dump(&out, "default", f[1]); err != nil {
				t.Fatal(err)
			}
			return out.String()
		default:
			t.Fatalf("unknown command %q", c)
		}
	}
	c := s.Changes()
	tb.apply(t, c)
	for _, l := range describe(c.Remove) {
		fmt.Fprintln(&out, "-", l)
	}
	for _, l := range describe(c.Add) {
		fmt.Fprintln(&out, "+", l)
	}
	for _, a := range c.Flows {
		fmt.Fprintln(&out, "flows", a.Frontend, "only", a.Backends)
	}
	for _, a := range c.Clients {
		fmt.Fprintln(&out, "clients", a.Frontend, "only", a.Backends)
	}
	return out.String()
}

func parseService(t *testing.T, f []string) *corev1.Service {
	t.Helper()
	ips := strings.Split(f[1], ",")
	s := makeService(f[0], ips[0])
	s.Spec.ClusterIPs = ips
	for _, option := range f[2:] {
		key, value, _ := strings.Cut(option, "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "port":
			s.Spec.Ports[0].Port = int32(n)
		case "nodeport":
			nodePort(int32(n))(s)
		case "affinity":
			affine(s)
			if n > 0 {
				s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr(int32(n))}}
			}
		case "local":
			localOnly(s)
		case "internal-local":
			s.Spec.InternalTrafficPolicy = ptr(corev1.ServiceInternalTrafficPolicyLocal)
		case "udp":
			udp(s)
		case "external":
			s.Spec.ExternalIPs = append(s.Spec.ExternalIPs, value)
		case "lb":
			s.Spec.Type = corev1.ServiceTypeLoadBalancer
			s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: value})
		case "allow":
			s.Spec.LoadBalancerSourceRanges = strings.Split(value, ",")
		case "age":
			s.CreationTimestamp.Time = s.CreationTimestamp.AddDate(n, 0, 0)
		default:
			t.Fatalf("unknown option %q", option)
		}
	}
	return s
}

func parseSlice(t *testing.T, f []string) *discoveryv1.EndpointSlice {
	t.Helper()
	s := makeSlice(f[0])
	for _, word := range f[1:] {
		if word == "udp" {
			s.Ports[0].Protocol = ptr(corev1.ProtocolUDP)
			continue
		}
		parts := strings.Split(word, "/")
		ip, node, ok := strings.Cut(parts[0], "@")
		if !ok {
			node = "here"
		}
		if strings.Contains(ip, ":") {
			s.AddressType = discoveryv1.AddressTypeIPv6
			s.Name = f[0] + "-6"
		}
		e := discoveryv1.Endpoint{Addresses: []string{ip}, NodeName: &node}
		for _, p := range parts[1:] {
			zone, isZone := strings.CutPrefix(p, "zone=")
			switch {
			case isZone:
				e.Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: zone}}}
			case p == "ending":
				e.Conditions = discoveryv1.EndpointConditions{Ready: ptr(false), Serving: ptr(true), Terminating: ptr(true)}
			case p == "down":
				e.Conditions = discoveryv1.EndpointConditions{Ready: ptr(false), Serving: ptr(false)}
			default:
				t.Fatalf("unknown state %q", p)
			}
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}
