package admission

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"reflect"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/skiff-k8s/skiff/internal/auth"
)

// certificateRequester writes into a request who makes it, whatever the request says.
func certificateRequester(_ context.Context, a *Attributes) error {
	s := &a.Object.(*certificatesv1.CertificateSigningRequest).Spec
	s.Username, s.UID, s.Groups, s.Extra = a.User.Name, a.User.UID, slices.Clone(a.User.Groups), nil
	for k, v := range a.User.Extra {
		if s.Extra == nil {
			s.Extra = map[string]certificatesv1.ExtraValue{}
		}
		s.Extra[k] = slices.Clone(v)
	}
	return nil
}

// signer asks whether a user may do something with a signer's name.
type signer struct{ authorizer Authorizer }

// allowed asks for the signer itself, then for all signers of its domain.
func (p signer) allowed(ctx context.Context, u *auth.User, verb, name string) bool {
	domain, _, _ := strings.Cut(name, "/")
	for _, n := range []string{name, domain + "/*"} {
		if p.authorizer.Allowed(ctx, u, Access{Verb: verb, Group: certificatesv1.GroupName, Resource: "signers", Name: n}) {
			return true
		}
	}
	return false
}

// approval: whoever approves or denies must be allowed to for the signer that is asked.
func (p signer) approval(ctx context.Context, a *Attributes) error {
	name := a.Old.(*certificatesv1.CertificateSigningRequest).Spec.SignerName
	if !p.allowed(ctx, a.User, "approve", name) {
		return a.forbidden("user not permitted to approve requests with signerName %q", name)
	}
	return nil
}

// signing: whoever issues the certificate, or tells of its failure, must be allowed to for the signer.
func (p signer) signing(ctx context.Context, a *Attributes) error {
	var name string
	switch o := a.Object.(type) {
	case *certificatesv1.CertificateSigningRequest:
		old := a.Old.(*certificatesv1.CertificateSigningRequest)
		if reflect.DeepEqual(o.Status.Certificate, old.Status.Certificate) && equality.Semantic.DeepEqual(o.Status.Conditions, old.Status.Conditions) {
			return nil
		}
		name = old.Spec.SignerName
	case *certificatesv1.PodCertificateRequest:
		old := a.Old.(*certificatesv1.PodCertificateRequest)
		if equality.Semantic.DeepEqual(o.Status, old.Status) {
			return nil
		}
		name = old.Spec.SignerName
	}
	if !p.allowed(ctx, a.User, "sign", name) {
		return a.forbidden("user not permitted to sign requests with signerName %q", name)
	}
	return nil
}

// attest: whoever publishes trust anchors for a signer must be allowed to.
func (p signer) attest(ctx context.Context, a *Attributes) error {
	name := a.Object.(*certificatesv1.ClusterTrustBundle).Spec.SignerName
	if name == "" || p.allowed(ctx, a.User, "attest", name) {
		return nil
	}
	return a.forbidden("user not permitted to attest for signerName %q", name)
}

// certificateSubject refuses client certificates that would make administrators.
func certificateSubject(_ context.Context, a *Attributes) error {
	s := &a.Object.(*certificatesv1.CertificateSigningRequest).Spec
	if s.SignerName != certificatesv1.KubeAPIServerClientSignerName {
		return nil
	}
	r, err := parseRequest(s.Request)
	if err != nil {
		return a.forbidden("failed to parse CSR: %v", err)
	}
	if slices.Contains(r.Subject.Organization, auth.GroupMasters) {
		return a.forbidden("use of %s signer with %s group is not allowed", s.SignerName, auth.GroupMasters)
	}
	return nil
}

func parseRequest(data []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	return x509.ParseCertificateRequest(block.Bytes)
}
