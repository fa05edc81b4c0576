package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
	"time"
)

// FuzzVerify: no bytes but those that were issued are a token.
func FuzzVerify(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	i, err := NewIssuer("https://test", key, time.Now)
	if err != nil {
		f.Fatal(err)
	}
	var c Claims
	c.Kubernetes.Namespace, c.Kubernetes.ServiceAccount = "ns", BoundObject{Name: "sa", UID: "u"}
	token, _, err := i.Issue(c, nil, 3600)
	if err != nil {
		f.Fatal(err)
	}
	parts := strings.Split(token, ".")
	f.Add(token)
	f.Add("eyJhbGciOiJub25lIn0." + parts[1] + ".")      // alg: none
	f.Add("eyJhbGciOiJIUzI1NiJ9." + parts[1] + ".AAAA") // alg: HS256
	f.Add(parts[0] + "." + parts[1] + ".")
	f.Add(parts[0] + ".." + parts[2])
	f.Add(token + ".")
	f.Add("..")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := i.Verify(s)
		if err != nil {
			return
		}
		// The signature is over the first two parts; its own encoding may vary in unused bits.
		if got := strings.Split(s, "."); got[0] != parts[0] || got[1] != parts[1] {
			t.Fatalf("%q is taken for a token of %s", s, c.Subject)
		}
	})
}
