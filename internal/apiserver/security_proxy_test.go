package apiserver

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// dialled notes where the server connects to, and connects to a test's backend instead.
type dialled struct {
	mu      sync.Mutex
	to      []string
	closed  chan string
	backend string
}

type counted struct {
	net.Conn
	once   sync.Once
	closed func()
}

func (c *counted) Close() error { c.once.Do(c.closed); return c.Conn.Close() }

func (d *dialled) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.to = append(d.to, address)
	c, err := (&net.Dialer{}).DialContext(ctx, network, d.backend)
	if err != nil {
		return nil, err
	}
	return &counted{Conn: c, closed: func() { d.closed <- address }}, nil
}

func (d *dialled) seen() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.to...)
}

// behindProxy is a server with a pod whose container is the handler.
func behindProxy(t *testing.T, h http.HandlerFunc) (*besieged, *httptest.Server, *dialled) {
	back := httptest.NewServer(h)
	t.Cleanup(back.Close)
	d := &dialled{closed: make(chan string, 100), backend: back.Listener.Addr().String()}
	node := func(context.Context, string) (http.Handler, error) { return h, nil }
	b := besiege(t, func(o *Options) { o.Dial, o.Node = d.dial, node })
	b.pod(t, "p", "10.1.2.3")
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Test-User") != "anonymous" {
			asMasters(r)
		}
		b.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return b, front, d
}

func (b *besieged) pod(t *testing.T, name, ip string) {
	t.Helper()
	c := b.Client(auth.System)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	p, err := client.Create(context.Background(), c, p)
	if err != nil {
		t.Fatal(err)
	}
	p = p.DeepCopy()
	p.Status.PodIP, p.Status.PodIPs = ip, []corev1.PodIP{{IP: ip}}
	if _, err := client.UpdateStatus(context.Background(), c, p); err != nil {
		t.Fatal(err)
	}
}

const podProxy = "/api/v1/namespaces/default/pods/p:80/proxy/"

// A refused upgrade must not leave a connection to the backend on which the client
// goes on unauthorized (CVE-2018-1002105).
func TestFailedUpgradeClosesBackend(t *testing.T) {
	var mu sync.Mutex
	var got []string
	_, front, d := behindProxy(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		got = append(got, r.Method+" "+r.URL.Path)
		mu.Unlock()
		http.Error(w, "no upgrade here", http.StatusForbidden)
	})
	conn, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	fmt.Fprintf(conn, "GET %sfirst HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", podProxy)
	first, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, first.Body)
	if first.StatusCode != http.StatusForbidden {
		t.Fatalf("the failed upgrade: %s", first.Status)
	}
	// What comes next on this connection is a request to the API server again.
	fmt.Fprintf(conn, "GET /second HTTP/1.1\r\nHost: x\r\nX-Test-User: anonymous\r\n\r\n")
	second, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(second.Body)
	if second.StatusCode != http.StatusForbidden || !strings.Contains(string(body), `cannot get path \"/second\"`) {
		t.Errorf("after a failed upgrade: %s %s", second.Status, body)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 1 {
		t.Errorf("the backend got %q", got)
	}
	if to := d.seen(); len(to) != 1 {
		t.Errorf("connections to the backend: %q", to)
	}
	select {
	case <-d.closed:
	case <-time.After(30 * time.Second):
		t.Error("the connection to the backend is still open")
	}
}

// An upgrade is to WebSocket or SPDY or it is none.
func TestOnlyStreamsAreUpgraded(t *testing.T) {
	var upgrade string
	_, front, _ := behindProxy(t, func(w http.ResponseWriter, r *http.Request) { upgrade = r.Header.Get("Upgrade") })
	for sent, want := range map[string]string{"h2c": "", "TLS/1.0": "", "websocket": "websocket", "SPDY/3.1": "SPDY/3.1"} {
		r, _ := http.NewRequest("GET", front.URL+podProxy, nil)
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", sent)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if upgrade != want {
			t.Errorf("Upgrade: %s arrives as %q", sent, upgrade)
		}
	}
}

// Redirects of backends go to the client; the server itself follows none
// (CVE-2020-8559, CVE-2020-8561).
func TestRedirectsAreNotFollowed(t *testing.T) {
	_, front, d := behindProxy(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusTemporaryRedirect)
	})
	for _, upgrade := range []string{"", "websocket"} {
		for _, path := range []string{podProxy + "x", "/api/v1/namespaces/default/pods/p/exec?command=x&stdout=1", "/api/v1/namespaces/default/pods/p/log"} {
			r, _ := http.NewRequest("GET", front.URL+path, nil)
			if upgrade != "" {
				r.Header.Set("Connection", "Upgrade")
				r.Header.Set("Upgrade", upgrade)
			}
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusTemporaryRedirect {
				t.Errorf("%s: %s", path, resp.Status)
			}
		}
	}
	to := d.seen()
	for _, a := range to {
		if a != "10.1.2.3:80" {
			t.Errorf("dialled %s", a)
		}
	}
}

// Addresses that only the server's host can reach, names, and whatever a node says
// its address is, are not dialled (CVE-2020-8562, CVE-2022-3294).
func TestProxyTargets(t *testing.T) {
	b, _, d := behindProxy(t, func(http.ResponseWriter, *http.Request) {})
	for n, ip := range []string{"127.0.0.1", "127.8.8.8", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:127.0.0.1", "::ffff:169.254.1.1"} {
		if allowedTarget(net.JoinHostPort(ip, "80")) {
			t.Errorf("%s may be dialled", ip)
		}
		// Through the status of a pod, where it can be written at all, …
		name := fmt.Sprint("pod-", n)
		status := fmt.Sprintf(`{"status":{"podIP":%q,"podIPs":[{"ip":%q}]}}`, ip, ip)
		b.seed(t, "/api/v1/namespaces/default/pods", fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"containers":[{"name":"c","image":"i"}]}}`, name))
		b.do("PATCH", "/api/v1/namespaces/default/pods/"+name+"/status", mergePatch, status)
		b.refused("pod at "+ip, "GET", "/api/v1/namespaces/default/pods/"+name+":80/proxy/", "", "", 16, 400)
		// … and through a slice of endpoints.
		svc := fmt.Sprint("svc-", n)
		b.seed(t, "/api/v1/namespaces/default/services", fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"clusterIP":"None","ports":[{"port":80}]}}`, svc))
		family := "IPv4"
		if strings.Contains(ip, ":") {
			family = "IPv6"
		}
		b.do("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", "application/json",
			fmt.Sprintf(`{"metadata":{"name":%q,"labels":{"kubernetes.io/service-name":%q}},"addressType":%q,"endpoints":[{"addresses":[%q]}],"ports":[{"name":"","port":80}]}`, svc, svc, family, ip))
		b.refused("service at "+ip, "GET", "/api/v1/namespaces/default/services/"+svc+"/proxy/", "", "", 16, 400, 503)
	}
	for _, name := range []string{"localhost", "metadata.google.internal", "", "10.1", "0x7f000001", "127.1", "2130706433", "fe80::1%lo", "[::1]"} {
		if allowedTarget(net.JoinHostPort(name, "80")) {
			t.Errorf("%q may be dialled", name)
		}
	}
	b.seed(t, "/api/v1/nodes", `{"metadata":{"name":"n"}}`)
	for _, node := range []string{"n:22", "http:n:10255", "https:n:443", "http:n:10250"} {
		b.refused("node "+node, "GET", "/api/v1/nodes/"+node+"/proxy/", "", "", 16, 400)
	}
	for _, p := range []string{"p:80:80:80", "gopher:p:80", "file:p:"} {
		b.refused("pod "+p, "GET", "/api/v1/namespaces/default/pods/"+p+"/proxy/", "", "", 16, 400)
	}
	// Nothing of another namespace, and nobody by a name that is none of ours.
	b.refused("a pod of another namespace", "GET", "/api/v1/namespaces/other/pods/p:80/proxy/", "", "", 16, 404)
	b.seed(t, "/api/v1/namespaces/default/services", `{"metadata":{"name":"ext"},"spec":{"type":"ExternalName","externalName":"localhost","ports":[{"port":80}]}}`)
	b.refused("an external name", "GET", "/api/v1/namespaces/default/services/ext:80/proxy/", "", "", 16, 400, 503)
	if to := d.seen(); len(to) != 0 {
		t.Errorf("dialled %q", to)
	}
}

// Credentials end at the server: backends, logs and answers never see them.
func TestCredentialsGoNowhere(t *testing.T) {
	var seen strings.Builder
	var mu sync.Mutex
	b, front, _ := behindProxy(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprint(&seen, r.URL, r.Header)
	})
	const secret = "tOpSeCrEtToKeN.aaa.bbb"
	hidden := base64.RawURLEncoding.EncodeToString([]byte(secret))
	header := http.Header{"Authorization": {"Bearer " + secret}, protocolHeader: {"v5.channel.k8s.io, " + tokenProtocol + hidden}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
	var answers strings.Builder
	for _, user := range []string{"", "anonymous"} {
		for _, path := range []string{podProxy, "/api/v1/namespaces/default/pods/p/exec?command=x", "/api/v1/nodes/n/proxy/pods", configMaps, "/nowhere", "/api/v1/namespaces/default/pods/%00"} {
			for _, drop := range []string{"", "Authorization", protocolHeader} {
				r, _ := http.NewRequest("GET", front.URL+path, nil)
				r.Header = header.Clone()
				r.Header.Set("X-Test-User", user)
				r.Header.Del(drop)
				resp, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				fmt.Fprint(&answers, resp.Header, string(body))
				if user == "anonymous" && resp.StatusCode != http.StatusUnauthorized {
					t.Errorf("%s with a token of nobody: %s", path, resp.Status)
				}
			}
		}
	}
	b.do("POST", "/apis/authentication.k8s.io/v1/tokenreviews", "application/json", `{"spec":{"token":"`+secret+`"}}`)
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(seen.String(), "v5.channel.k8s.io") {
		t.Errorf("the other subprotocol is gone too: %s", seen.String())
	}
	for where, text := range map[string]string{"a backend": seen.String(), "the log": b.logged(), "an answer": answers.String()} {
		if strings.Contains(text, secret) || strings.Contains(text, hidden) {
			t.Errorf("%s got the token: %s", where, text)
		}
	}
}
