package aggregate

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api/apiregistration"
)

const thePath = "/apis/" + theGroup + "/" + theVersion

// TestAvailability follows a backend from nothing to an answer and back.
func TestAvailability(t *testing.T) {
	c := newCluster(t)
	var now atomic.Int64
	now.Store(1000)
	c.a.Now = func() time.Time { return time.Unix(now.Load(), 0) }
	if c.a.Handler(theGroup, theVersion) != nil {
		t.Fatal("served by nobody, but there is a handler")
	}
	c.put(c.apiService())
	c.run()
	c.await("ServiceNotFound")
	if res, body := c.get(thePath + "/pods"); res.StatusCode != 503 || body != "service unavailable\n" || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%d %q", res.StatusCode, body)
	}
	s := service()
	s.Spec.Ports[0].Port = 8443
	c.put(s)
	c.await("ServicePortError")
	c.put(service())
	c.await("EndpointsNotFound")
	c.put(endpoints(false))
	c.await("MissingEndpoints")
	c.put(endpoints(true))
	failed := c.await("FailedDiscoveryCheck")
	if want := `failing or missing response from https://10.96.0.10:443/apis/metrics.example.com/v1beta1: Get "https://10.96.0.10:443/apis/metrics.example.com/v1beta1": dial tcp 10.96.0.10:443: connect: connection refused`; failed.Message != want {
		t.Errorf("got %s", failed.Message)
	}
	if failed.Status != "False" || failed.LastTransitionTime.Unix() != 1000 {
		t.Errorf("%+v", failed)
	}
	now.Store(2000)
	// Nothing in the cluster changes when the backend is there: the retries find it.
	c.serveBackend(theAddress, metrics(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }))
	passed := c.await("Passed")
	if passed.Status != "True" || passed.Message != "all checks passed" || passed.LastTransitionTime.Unix() != 2000 {
		t.Errorf("%+v", passed)
	}
	if res, body := c.get(thePath + "/pods"); res.StatusCode != 200 || body != "hello" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
	c.remove(endpoints(true))
	c.await("EndpointsNotFound")
	if got := c.a.Availability(); len(got) != 1 || got[0].Name != theName || !got[0].Unavailable || len(got[0].Lost) != 1 || got[0].Lost["EndpointsNotFound"] != 1 {
		t.Errorf("%+v", got)
	}
	c.remove(service())
	c.await("ServiceNotFound")
	c.remove(c.apiService())
	c.until(func() bool { return c.a.Handler(theGroup, theVersion) == nil })
	// The names of this server are no backend's.
	c.put(&apiregistrationv1.APIService{ObjectMeta: c.apiService().ObjectMeta, Spec: apiregistrationv1.APIServiceSpec{Group: theGroup, Version: theVersion}})
	c.await("Local")
	if c.a.Handler(theGroup, theVersion) != nil {
		t.Error("local, but there is a handler")
	}
	next := c.apiService()
	c.put(next)
	c.await("ServiceNotFound")
}

// TestChecks: answers that are none.
func TestChecks(t *testing.T) {
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		dns     string
		change  func(*cluster, *apiregistrationv1.APIService)
		reason  string
		message string
	}{
		{name: "not found", handler: http.NotFound, message: "failing or missing response from https://10.96.0.10:443" + thePath + ": bad status from https://10.96.0.10:443" + thePath + ": 404"},
		{name: "redirect", handler: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", 302) }, message: "bad status from https://10.96.0.10:443" + thePath + ": 302"},
		{name: "never", handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, message: "Client.Timeout exceeded while awaiting headers"},
		{name: "wrong name", dns: "other.kube-system.svc", message: "certificate is valid for other.kube-system.svc, not metrics.kube-system.svc"},
		{name: "wrong authority", change: func(c *cluster, o *apiregistrationv1.APIService) { o.Spec.CABundle = c.proxy.pem }, message: "certificate signed by unknown authority"},
		{name: "no bundle", change: func(_ *cluster, o *apiregistrationv1.APIService) { o.Spec.CABundle = nil }, message: "certificate signed by unknown authority"},
		{name: "garbage for a bundle", change: func(_ *cluster, o *apiregistrationv1.APIService) { o.Spec.CABundle = []byte("x") }, message: "unable to load root certificates: unable to parse bytes as PEM block"},
		{name: "insecure", dns: "other", change: func(_ *cluster, o *apiregistrationv1.APIService) {
			o.Spec.CABundle, o.Spec.InsecureSkipTLSVerify = nil, true
		}, reason: "Passed", message: "all checks passed"},
		{name: "garbage for resources", handler: func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }, reason: "Passed", message: "all checks passed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCluster(t, service(), endpoints(true))
			if tc.name == "never" {
				c.a.checkTime = 200 * time.Millisecond
			}
			if tc.handler == nil {
				tc.handler = metrics(nil)
			}
			if tc.dns == "" {
				tc.dns = "metrics.kube-system.svc"
			}
			c.serveBackend(theAddress, tc.handler, tc.dns)
			o := c.apiService()
			if tc.change != nil {
				tc.change(c, o)
			}
			if tc.reason == "" {
				tc.reason = "FailedDiscoveryCheck"
			}
			c.put(o)
			if cond := c.run().await(tc.reason); !strings.Contains(cond.Message, tc.message) {
				t.Errorf("got %s", cond.Message)
			}
		})
	}
}

// TestOneOfMany: a service with a bad endpoint among others is available.
func TestOneOfMany(t *testing.T) {
	var asked atomic.Int32
	c := newCluster(t, service(), endpoints(true))
	c.serveBackend(theAddress, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 3 {
			http.Error(w, "out of order", 500)
			return
		}
		metrics(nil)(w, r)
	})
	c.put(c.apiService())
	c.run().await("Passed")
	for _, w := range c.api.Writes() {
		if w.Subresource == "status" && apiregistration.Available(w.Object.(*apiregistrationv1.APIService)).Status != "True" {
			t.Errorf("%+v", w.Object)
		}
	}
}

// TestOnlyItsOwn: what others write to the status does not stay, and costs no more than a look.
func TestOnlyItsOwn(t *testing.T) {
	c := available(t, nil)
	o := c.awaitObject(theName, func(*apiregistrationv1.APIService) bool { return true }).DeepCopy()
	o.Status.Conditions[0].Status, o.Status.Conditions[0].Reason = "False", "Because"
	if _, err := c.api.Update(t.Context(), c.a.row, o, "status"); err != nil {
		t.Fatal(err)
	}
	c.await("Passed")
}

// TestExpired: a watch that falls behind misses nothing in the end.
func TestExpired(t *testing.T) {
	c := available(t, nil)
	c.api.Expire()
	c.remove(c.apiService())
	c.api.Expire()
	c.until(func() bool { return c.a.Handler(theGroup, theVersion) == nil })
	c.put(c.apiService())
	c.await("Passed")
	c.api.Expire()
	c.remove(service())
	c.await("ServiceNotFound")
}

// TestRunAgain: after an end it can begin anew, but not beside itself.
func TestRunAgain(t *testing.T) {
	c := available(t, nil)
	if err := c.a.Run(t.Context()); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("twice: %v", err)
	}
	c.stop()
	if err := <-c.ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	c.remove(c.apiService())
	c.run()
	c.until(func() bool { return c.a.Handler(theGroup, theVersion) == nil })
}

// TestDial: names are looked up once, and what only this host could reach is not dialled.
func TestDial(t *testing.T) {
	c := newCluster(t)
	c.route("203.0.113.7:443", c.front.Listener.Addr().String())
	answers := map[string][]net.IP{
		"good.example.com":  {net.ParseIP("203.0.113.7")},
		"mixed.example.com": {net.ParseIP("127.0.0.1"), net.ParseIP("169.254.169.254"), net.ParseIP("203.0.113.7")},
		"local.example.com": {net.ParseIP("127.0.0.1"), net.ParseIP("::1")},
		"meta.example.com":  {net.ParseIP("169.254.169.254"), net.ParseIP("fe80::1")},
	}
	looked := 0
	c.a.lookup = func(_ context.Context, _, host string) ([]net.IP, error) {
		looked++
		if answers[host] == nil {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return answers[host], nil
	}
	for host, want := range map[string]string{
		"good.example.com": "", "mixed.example.com": "", "203.0.113.7": "",
		"local.example.com": "no address of local.example.com may be connected to", "meta.example.com": "no address of meta.example.com may be connected to",
		"127.0.0.1": "no address of 127.0.0.1 may be connected to", "::ffff:127.0.0.1": "may be connected to", "0.0.0.0": "may be connected to", "nobody.example.com": "no such host",
	} {
		c.dialed = nil
		conn, err := c.a.dial(t.Context(), "tcp", net.JoinHostPort(host, "443"))
		if err == nil {
			conn.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", host, err)
		}
		for _, d := range c.dialed {
			if d != "203.0.113.7:443" {
				t.Errorf("%s: dialled %s", host, d)
			}
		}
	}
	if looked != 5 {
		t.Errorf("%d lookups", looked)
	}
}

// TestExternalName: a service of another name is reached by it, and verified by the service's.
func TestExternalName(t *testing.T) {
	s := service()
	s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "metrics.example.org"}
	c := newCluster(t, s)
	c.a.lookup = func(context.Context, string, string) ([]net.IP, error) {
		return []net.IP{net.ParseIP("203.0.113.7")}, nil
	}
	c.serveBackend("203.0.113.7", metrics(nil))
	c.put(c.apiService())
	c.run().await("Passed")
	if res, _ := c.get(thePath); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}
