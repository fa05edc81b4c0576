package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// TestPublicKeys: somebody who has only the published keys can check a token, and
// learns no private key.
func TestPublicKeys(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i, err := NewIssuer("https://issuer", key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := i.Issue(Claims{}, nil, 600)
	if err != nil {
		t.Fatal(err)
	}
	b, err := i.PublicKeys()
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(b, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 1 || !set.Keys[0].IsPublic() {
		t.Fatalf("the key set is %s", b)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var c jwt.Claims
	if err := parsed.Claims(set.Key(parsed.Headers[0].KeyID)[0], &c); err != nil || c.Issuer != "https://issuer" {
		t.Errorf("the token is not to be checked with %s: %v", b, err)
	}
	b, err = i.Configuration("https://issuer/keys")
	var config map[string]any
	if json.Unmarshal(b, &config) != nil || err != nil || config["issuer"] != "https://issuer" || config["jwks_uri"] != "https://issuer/keys" {
		t.Errorf("the configuration is %s", b)
	}
}
