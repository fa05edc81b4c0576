package apiserver

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/auth"
)

var anonymous = &auth.User{Name: "system:anonymous", Groups: []string{"system:unauthenticated"}}

// stageAuthenticate finds out who asks: a client certificate, a bearer token, or
// nobody we know. Credentials end here: nothing behind this stage, and nobody
// that the request is passed on to, gets to see them.
func (s *Server) stageAuthenticate(_ http.ResponseWriter, r *http.Request, x *exchange) error {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		if cert := r.TLS.VerifiedChains[0][0]; cert.Subject.CommonName != "" {
			dropCredentials(r)
			x.user = auth.FromCertificate(cert)
			s.metrics.of(s).expiry.Observe(cert.NotAfter.Sub(x.began).Seconds())
			return nil
		}
	}
	token, err := bearerToken(r)
	dropCredentials(r)
	if err != nil {
		return apierrors.NewUnauthorized("Unauthorized")
	}
	if token == "" {
		x.user = anonymous
		return nil
	}
	u, err := s.tokenUser(r.Context(), token)
	if err != nil {
		return apierrors.NewUnauthorized("Unauthorized")
	}
	x.user = u
	return nil
}

// bearerToken finds a token in the Authorization header, or, where browsers
// cannot set that, in the WebSocket's subprotocols. There may be none.
func bearerToken(r *http.Request) (string, error) {
	if scheme, token, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " "); strings.EqualFold(scheme, "bearer") {
		// compat: what follows a second space is not part of the token.
		token, _, _ = strings.Cut(token, " ")
		if token != "" {
			return token, nil
		}
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return "", nil
	}
	return webSocketToken(r)
}

const (
	protocolHeader = "Sec-Websocket-Protocol"
	tokenProtocol  = "base64url.bearer.authorization.k8s.io."
)

// webSocketToken finds the bearer token that browsers send as a subprotocol.
// Another must stand beside it: one has to be left to agree on.
func webSocketToken(r *http.Request) (string, error) {
	token, found, others := "", false, 0
	for _, p := range subprotocols(r) {
		enc, ok := strings.CutPrefix(p, tokenProtocol)
		switch {
		case !ok:
			others++
			continue
		case found:
			return "", errors.New("multiple base64.bearer.authorization tokens specified")
		}
		found = true
		b, err := base64.RawURLEncoding.DecodeString(enc)
		if err != nil || !utf8.Valid(b) {
			return "", errors.New("invalid base64.bearer.authorization token encoding")
		}
		token = string(b)
	}
	if found && others == 0 {
		return "", errors.New("missing additional subprotocol")
	}
	return token, nil
}

func subprotocols(r *http.Request) []string {
	var out []string
	for _, h := range r.Header.Values(protocolHeader) {
		for p := range strings.SplitSeq(h, ",") {
			out = append(out, strings.TrimSpace(p))
		}
	}
	return out
}

// dropCredentials takes tokens out of the headers.
func dropCredentials(r *http.Request) {
	r.Header.Del("Authorization")
	if len(r.Header.Values(protocolHeader)) == 0 {
		return
	}
	var kept []string
	for _, p := range subprotocols(r) {
		if !strings.HasPrefix(p, tokenProtocol) {
			kept = append(kept, p)
		}
	}
	r.Header.Del(protocolHeader)
	if len(kept) > 0 {
		r.Header.Set(protocolHeader, strings.Join(kept, ", "))
	}
}
