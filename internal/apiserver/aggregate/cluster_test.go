package aggregate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/apiregistration"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *authority) leaf(t testing.TB, name string, dns ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: dns, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// cluster is an API in memory, an aggregator on it, a front door and the addresses that services have.
type cluster struct {
	t       testing.TB
	api     *clienttest.Client
	a       *Aggregator
	front   *httptest.Server
	backend *authority // of serving certificates
	proxy   *authority // of the aggregator's client certificate
	changed chan struct{}
	server  *httptest.Server // the last one that was begun
	user    *auth.User
	old     bool // backends know HTTP/1.1 only
	ended   chan error
	stop    context.CancelFunc

	mu     sync.Mutex
	routes map[string]string // the service's address to the listener's
	dialed []string
}

const (
	theGroup   = "metrics.example.com"
	theVersion = "v1beta1"
	theName    = theVersion + "." + theGroup
	theAddress = "10.96.0.10"
)

func newCluster(t testing.TB, objects ...api.Object) *cluster {
	t.Helper()
	c := &cluster{
		t: t, backend: newAuthority(t, "backend"), proxy: newAuthority(t, "front-proxy"), changed: make(chan struct{}, 1), ended: make(chan error, 1),
		routes: map[string]string{}, user: &auth.User{Name: "jane", UID: "1234", Groups: []string{"dev", auth.GroupAuthenticated}, Extra: map[string][]string{"scopes/a%": {"x", "y"}}},
	}
	c.api = clienttest.New()
	c.api.Rows = func(o api.Object) *api.Resource {
		if _, ok := o.(*apiregistrationv1.APIService); ok {
			return apiregistration.Rows()[0]
		}
		return all.Of(o)
	}
	for _, o := range objects {
		c.api.Add(o)
	}
	cert := c.proxy.leaf(t, "front-proxy-client")
	c.a = New(Config{
		Client: c.api, Dial: c.dial, ProxyCert: func() (*tls.Certificate, error) { return &cert, nil },
		Changed: func() {
			select {
			case c.changed <- struct{}{}:
			default:
			}
		},
	})
	c.a.checkTime = time.Minute // a backend that is only late is not away
	c.front = httptest.NewUnstartedServer(http.HandlerFunc(c.serve))
	c.front.Config.ErrorLog = log.New(io.Discard, "", 0)
	c.front.Start()
	t.Cleanup(func() {
		c.a.Drain()
		c.front.CloseClientConnections()
		c.front.Close()
		if c.stop != nil {
			c.stop()
			<-c.ended
		}
	})
	return c
}

// run starts the aggregator.
func (c *cluster) run() *cluster {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	go func() { c.ended <- c.a.Run(ctx) }()
	return c
}

// serve is what the API server does before it hands a request on.
func (c *cluster) serve(w http.ResponseWriter, r *http.Request) {
	var h http.Handler
	if gv, ok := groupVersionIn(r.URL.Path); ok {
		h = c.a.Handler(gv.Group, gv.Version)
	} else if key, ok := strings.CutPrefix(r.URL.Path, "/openapi/v3/"); ok {
		h = c.a.OpenAPIV3Handler(key)
	}
	if h == nil {
		http.Error(w, "nobody", http.StatusTeapot)
		return
	}
	w.Header().Set("Audit-Id", "audit-1")
	w.Header().Set("Cache-Control", "no-cache, private")
	h.ServeHTTP(w, r.WithContext(WithUser(r.Context(), c.user)))
}

func (c *cluster) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	c.dialed = append(c.dialed, address)
	to := c.routes[address]
	c.mu.Unlock()
	if to == "" {
		return nil, errors.New("dial tcp " + address + ": connect: connection refused")
	}
	return (&net.Dialer{}).DialContext(ctx, network, to)
}

func (c *cluster) route(address, to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.routes[address] = to
}

// serveBackend starts an extension API server at a service's address.
func (c *cluster) serveBackend(address string, h http.HandlerFunc, dns ...string) *httptest.Server {
	c.t.Helper()
	if len(dns) == 0 {
		dns = []string{"metrics.kube-system.svc"}
	}
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = !c.old
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{c.backend.leaf(c.t, "backend", dns...)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: c.proxy.pool()}
	s.StartTLS()
	c.route(address+":443", s.Listener.Addr().String())
	c.server = s
	c.t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

// metrics answers for the group version: its resources, and the rest with h.
func metrics(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/apis/"+theGroup+"/"+theVersion {
			if h == nil {
				http.NotFound(w, r)
				return
			}
			h(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(resources("pods"))
	}
}

func resources(names ...string) *metav1.APIResourceList {
	l := &metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: theGroup + "/" + theVersion}
	for _, n := range names {
		l.APIResources = append(l.APIResources, metav1.APIResource{Name: n, Namespaced: true, Kind: "PodMetrics", Verbs: metav1.Verbs{"get", "list"}})
	}
	return l
}

func service() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "metrics"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: theAddress, Ports: []corev1.ServicePort{{Name: "https", Port: 443}}},
	}
}

func endpoints(ready bool) *discoveryv1.EndpointSlice {
	port, portName := int32(8443), "https"
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "kube-system", Name: "metrics-1", Labels: map[string]string{discoveryv1.LabelServiceName: "metrics"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &portName, Port: &port}},
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.244.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	}
}

func (c *cluster) apiService() *apiregistrationv1.APIService {
	return &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: theName},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: theGroup, Version: theVersion, GroupPriorityMinimum: 100, VersionPriority: 100,
			Service: &apiregistrationv1.ServiceReference{Namespace: "kube-system", Name: "metrics"}, CABundle: c.backend.pem,
		},
	}
}

// put creates or replaces an object.
func (c *cluster) put(o api.Object) {
	c.t.Helper()
	r := c.api.Rows(o)
	for {
		have, err := c.api.Get(c.t.Context(), r, o.GetNamespace(), o.GetName())
		if err != nil {
			_, err = c.api.Create(c.t.Context(), r, o)
		} else {
			o.SetResourceVersion(have.GetResourceVersion())
			_, err = c.api.Update(c.t.Context(), r, o, "")
		}
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) { // the aggregator writes, too
			c.t.Fatal(err)
		}
	}
}

func (c *cluster) remove(o api.Object) {
	c.t.Helper()
	if err := c.api.Delete(c.t.Context(), c.api.Rows(o), o.GetNamespace(), o.GetName(), metav1.DeleteOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// awaitObject waits until an APIService is as it should be (nil: there is none).
func (c *cluster) awaitObject(name string, ok func(*apiregistrationv1.APIService) bool) *apiregistrationv1.APIService {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	w, err := c.api.Watch(ctx, c.a.row, "", client.Selector{}, -1)
	if err != nil {
		c.t.Fatal(err)
	}
	defer w.Close()
	var last *apiregistrationv1.APIService
	for {
		if o, err := c.a.get(ctx, name); err != nil {
			c.t.Fatal(err)
		} else if last = o; ok(o) {
			return o
		}
		if _, err := w.Next(ctx); err != nil {
			c.t.Fatalf("%v; the last state: %+v", err, last)
		}
	}
}

// await waits until the condition has a reason, and the aggregator acts by it.
func (c *cluster) await(reason string) *apiregistrationv1.APIServiceCondition {
	c.t.Helper()
	var cond *apiregistrationv1.APIServiceCondition
	o := c.awaitObject(theName, func(o *apiregistrationv1.APIService) bool {
		if o != nil {
			cond = apiregistration.Available(o)
		}
		return cond != nil && cond.Reason == reason
	})
	c.until(func() bool {
		b := c.a.backend(theName)
		return o.Spec.Service == nil || b != nil && b.state.Load().available == (cond.Status == apiregistrationv1.ConditionTrue)
	})
	return cond
}

// until waits for something that the aggregator tells of.
func (c *cluster) until(ok func() bool) {
	c.t.Helper()
	end := time.After(time.Minute)
	for !ok() {
		select {
		case <-c.changed:
		case <-end:
			c.t.Fatal("it does not come")
		}
	}
}

// available is a cluster with a backend that answers.
func available(t testing.TB, h http.HandlerFunc) *cluster {
	t.Helper()
	c := newCluster(t, service(), endpoints(true))
	c.serveBackend(theAddress, metrics(h))
	c.put(c.apiService())
	c.run().await("Passed")
	return c
}

// get asks the front door, which follows no redirects.
func (c *cluster) get(path string, header ...string) (*http.Response, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.front.URL+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1])
	}
	res, err := c.front.Client().Transport.RoundTrip(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res, string(b)
}

func groupVersionIn(path string) (gv schema.GroupVersion, ok bool) {
	if rest, found := strings.CutPrefix(path, "/apis/"); found {
		g, rest, _ := strings.Cut(rest, "/")
		v, _, _ := strings.Cut(rest, "/")
		return schema.GroupVersion{Group: g, Version: v}, true
	}
	return gv, false
}
