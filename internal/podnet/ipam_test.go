package podnet

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func TestNext(t *testing.T) {
	cidr := netip.MustParsePrefix("10.1.0.0/29") // .2 … .6 can be given
	for _, c := range []struct {
		last, want string
		taken      []string
	}{
		{"", "10.1.0.2", nil},
		{"", "10.1.0.3", []string{"10.1.0.2"}},
		{"10.1.0.2", "10.1.0.3", nil},
		{"10.1.0.6", "10.1.0.2", nil}, // .7 is for broadcasts
		{"10.1.0.5", "10.1.0.2", []string{"10.1.0.6"}},
		{"10.9.0.5", "10.1.0.2", nil}, // of another range, before it was changed
		{"10.1.0.3", "", []string{"10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6"}},
	} {
		taken := map[string]bool{}
		for _, ip := range c.taken {
			taken[ip] = true
		}
		last, _ := netip.ParseAddr(c.last)
		got, ok := next(cidr, last, func(ip netip.Addr) bool { return taken[ip.String()] })
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("next after %q without %v = %v, %v; want %q", c.last, c.taken, got, ok, c.want)
		}
	}
}

func TestLeasesOutliveTheAgent(t *testing.T) {
	dir, cidr := t.TempDir(), netip.MustParsePrefix("10.1.0.0/28")
	open := func() *ipam {
		t.Helper()
		i, err := openIPAM(dir, cidr)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	take := func(i *ipam, container string) netip.Addr {
		t.Helper()
		ip, err := i.take(attachment{container, "eth0"})
		if err != nil {
			t.Fatal(err)
		}
		return ip
	}
	i := open()
	a, b := take(i, "a"), take(i, "b")
	if a == b || take(i, "a") != a {
		t.Fatalf("a has %v, then %v; b has %v", a, take(i, "a"), b)
	}
	if err := i.release("b"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "leases", "torn"), []byte(`{"addr`), 0o600); err != nil {
		t.Fatal(err)
	}
	i = open()
	if got, ok := i.find("a"); !ok || got != a {
		t.Fatalf("a has %v, %v after a restart; want %v", got, ok, a)
	}
	if c := take(i, "c"); c == a || c == b {
		t.Fatalf("c has %v at once after %v was given back", c, b)
	}
	for n := 0; ; n++ {
		if _, err := i.take(attachment{fmt.Sprint("x", n), "eth0"}); err != nil {
			if n != 11 { // 16, less the network, the gateway, the broadcast address, a and c
				t.Fatalf("%d more addresses, then %v", n, err)
			}
			break
		}
	}
	if got, err := StoredCIDR(dir); err != nil || got != cidr {
		t.Fatalf("stored range %v, %v", got, err)
	}
}
