package aggregate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api/apiregistration"
)

// backend is the server behind an APIService. It lasts as long as the
// APIService names some service; all that changes is in values that are replaced whole.
type backend struct {
	a    *Aggregator
	name string
	gv   schema.GroupVersion

	state   atomic.Pointer[state]
	decided atomic.Pointer[apiregistrationv1.APIServiceCondition] // what was last found out, times apart
	found   atomic.Pointer[found]
	docs    documents
}

// state is what the APIService says.
type state struct {
	object    *apiregistrationv1.APIService
	available bool
	link      *link
}

func stateOf(o *apiregistrationv1.APIService, l *link) *state {
	c := apiregistration.Available(o)
	return &state{object: o, link: l, available: c != nil && c.Status == apiregistrationv1.ConditionTrue}
}

// trust says how a backend is verified: connections may be shared as long as it is the same.
type trust struct {
	name     string
	bundle   string
	insecure bool
}

func trustOf(s *apiregistrationv1.APIServiceSpec) trust {
	return trust{name: s.Service.Name + "." + s.Service.Namespace + ".svc", bundle: string(s.CABundle), insecure: s.InsecureSkipTLSVerify}
}

// link holds the connections to a backend.
type link struct {
	trust
	err      error           // that there can be none
	requests *http.Transport // HTTP/2 where the backend has it
	upgrades *http.Transport // HTTP/1.1, and each connection for one request only
}

func (a *Aggregator) newLink(t trust) *link {
	l := &link{trust: t}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.name, InsecureSkipVerify: t.insecure}
	if t.bundle != "" && !t.insecure {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(t.bundle)) {
			l.err = errors.New("unable to load root certificates: unable to parse bytes as PEM block")
			return l
		}
	}
	if a.ProxyCert != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return a.ProxyCert() }
	}
	var both, one http.Protocols
	both.SetHTTP1(true)
	both.SetHTTP2(true)
	one.SetHTTP1(true)
	l.requests = &http.Transport{
		DialContext: a.dial, TLSClientConfig: config, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 25, IdleConnTimeout: 90 * time.Second,
		DisableCompression: true, // what is compressed goes through as it is
		Protocols:          &both,
		// A connection whose other end is gone would fail requests until TCP notices.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
	l.upgrades = &http.Transport{
		DialContext: a.dial, TLSClientConfig: config.Clone(), TLSHandshakeTimeout: 10 * time.Second,
		DisableKeepAlives: true, DisableCompression: true, Protocols: &one,
	}
	return l
}

// forget closes the connections that nothing goes over: the next request makes its own.
func (l *link) forget() {
	if l.requests != nil {
		l.requests.CloseIdleConnections()
	}
}
