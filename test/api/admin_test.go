package api

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
)

// asAdmin makes a request look as if it came with the administrator's verified
// certificate, unless it says "X-Test-User: anonymous".
func asAdmin(r *http.Request) {
	if r.Header.Get("X-Test-User") == "anonymous" {
		r.Header.Del("X-Test-User")
		return
	}
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "kubernetes-admin", Organization: []string{"system:masters"}}}
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
}
