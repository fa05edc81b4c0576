package auth

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"k8s.io/apimachinery/pkg/util/uuid"
)

// Issuer signs and checks service-account tokens.
type Issuer struct {
	URL      string // the iss claim, and the audience of tokens that ask for none
	Key      *ecdsa.PrivateKey
	KeyID    string
	Now      func() time.Time
	signer   jose.Signer
	audience string
}

// BoundObject is what a token lives and dies with.
type BoundObject struct {
	Name string `json:"name"`
	UID  string `json:"uid,omitempty"`
}

// Claims is what a token says.
type Claims struct {
	jwt.Claims
	Audience   audience `json:"aud,omitempty"`
	Kubernetes struct {
		Namespace      string       `json:"namespace,omitempty"`
		ServiceAccount BoundObject  `json:"serviceaccount"`
		Pod            *BoundObject `json:"pod,omitempty"`
		Secret         *BoundObject `json:"secret,omitempty"`
		Node           *BoundObject `json:"node,omitempty"`
	} `json:"kubernetes.io"`
}

// audience is a list even if there is one: go-jose would write a bare string, which
// readers of Kubernetes' tokens do not all expect.
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error { return (*jwt.Audience)(a).UnmarshalJSON(b) }

// NewIssuer signs with an ECDSA P-256 key.
func NewIssuer(url string, key *ecdsa.PrivateKey, now func() time.Time) (*Issuer, error) {
	pub, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(pub)
	i := &Issuer{URL: url, Key: key, KeyID: base64.RawURLEncoding.EncodeToString(sum[:]), Now: now, audience: url}
	i.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: i.KeyID}}, nil)
	return i, err
}

// Issue signs the claims for the audiences (none: the issuer itself) and returns when they end.
func (i *Issuer) Issue(c Claims, audiences []string, seconds int64) (string, time.Time, error) {
	now := i.Now()
	end := now.Add(time.Duration(seconds) * time.Second)
	if len(audiences) == 0 {
		audiences = []string{i.audience}
	}
	c.Issuer, c.Audience = i.URL, audiences
	c.Subject = "system:serviceaccount:" + c.Kubernetes.Namespace + ":" + c.Kubernetes.ServiceAccount.Name
	c.IssuedAt, c.NotBefore, c.Expiry = jwt.NewNumericDate(now), jwt.NewNumericDate(now), jwt.NewNumericDate(end)
	c.ID = string(uuid.NewUUID())
	token, err := jwt.Signed(i.signer).Claims(c).Serialize()
	return token, end, err
}

// ErrNotOurs means that the token was not issued here; another authenticator may know it.
var ErrNotOurs = errors.New("token of another issuer")

// Verify checks signature, time and audience and returns what the token says.
// Whether the service account and the bound object still exist is for the caller to look up.
func (i *Issuer) Verify(token string, audiences ...string) (*Claims, error) {
	if len(audiences) == 0 {
		audiences = []string{i.audience}
	}
	if !i.claimsIssuer(token) {
		return nil, ErrNotOurs
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, fmt.Errorf("invalid bearer token: %w", err)
	}
	var c Claims
	if err := parsed.Claims(i.Key.Public(), &c); err != nil {
		return nil, fmt.Errorf("invalid bearer token: %w", err)
	}
	if err := c.ValidateWithLeeway(jwt.Expected{Issuer: i.URL, Time: i.Now()}, time.Second); err != nil {
		return nil, fmt.Errorf("invalid bearer token: %w", err)
	}
	if !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(c.Audience, a) }) {
		return nil, errors.New("invalid bearer token: audience does not match")
	}
	return &c, nil
}

func (i *Issuer) claimsIssuer(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return false
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	return json.Unmarshal(payload, &c) == nil && c.Issuer == i.URL
}

// User is the service account that the claims name.
func (c *Claims) User() *User {
	k := &c.Kubernetes
	u := &User{
		Name: c.Subject, UID: k.ServiceAccount.UID,
		Groups: []string{GroupServiceAccounts, GroupServiceAccounts + ":" + k.Namespace, GroupAuthenticated},
		Extra:  map[string][]string{"authentication.kubernetes.io/credential-id": {"JTI=" + c.ID}},
	}
	if k.Pod != nil {
		u.Extra["authentication.kubernetes.io/pod-name"] = []string{k.Pod.Name}
		u.Extra["authentication.kubernetes.io/pod-uid"] = []string{k.Pod.UID}
	}
	return u
}
