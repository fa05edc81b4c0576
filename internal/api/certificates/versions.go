package certificates

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// A request of v1beta1 need not say who is to sign it: what it asks for tells.
var requestVersions = api.Versions{
	api.As[certificatesv1.CertificateSigningRequest, certificatesv1beta1.CertificateSigningRequest]{
		Version: certificatesv1beta1.SchemeGroupVersion, List: &certificatesv1beta1.CertificateSigningRequestList{},
		Default: func(o *certificatesv1beta1.CertificateSigningRequest) {
			s := &o.Spec
			if s.Usages == nil {
				s.Usages = []certificatesv1beta1.KeyUsage{certificatesv1beta1.UsageDigitalSignature, certificatesv1beta1.UsageKeyEncipherment}
			}
			if s.SignerName == nil {
				name := signerOf(s)
				s.SignerName = &name
			}
			for i := range o.Status.Conditions {
				if c := &o.Status.Conditions[i]; c.Status == "" {
					c.Status = "True"
				}
			}
		},
		Forgives: func(e *field.Error) bool {
			return strings.HasPrefix(e.Field, "spec.usages") || e.Field == "spec.signerName" && e.BadValue == certificatesv1beta1.LegacyUnknownSignerName
		}},
}

// signerOf is the signer of kubelets' certificates where one is asked for, or else none that is known.
func signerOf(s *certificatesv1beta1.CertificateSigningRequestSpec) string {
	block, _ := pem.Decode(s.Request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return certificatesv1beta1.LegacyUnknownSignerName
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || !slices.Equal(r.Subject.Organization, []string{"system:nodes"}) || !strings.HasPrefix(r.Subject.CommonName, "system:node:") ||
		len(r.EmailAddresses) > 0 || len(r.URIs) > 0 {
		return certificatesv1beta1.LegacyUnknownSignerName
	}
	named := len(r.DNSNames) > 0 || len(r.IPAddresses) > 0
	switch {
	case !named && onlyFor(s.Usages, certificatesv1beta1.UsageClientAuth):
		return certificatesv1beta1.KubeAPIServerClientKubeletSignerName
	case named && onlyFor(s.Usages, certificatesv1beta1.UsageServerAuth):
		return certificatesv1beta1.KubeletServingSignerName
	}
	return certificatesv1beta1.LegacyUnknownSignerName
}

// onlyFor tells that a key signs for one purpose; it may also encipher keys, as RSA's do.
func onlyFor(have []certificatesv1beta1.KeyUsage, purpose certificatesv1beta1.KeyUsage) bool {
	want := []certificatesv1beta1.KeyUsage{certificatesv1beta1.UsageDigitalSignature, purpose}
	for _, u := range have {
		if u != certificatesv1beta1.UsageKeyEncipherment && !slices.Contains(want, u) {
			return false
		}
	}
	return slices.Contains(have, want[0]) && slices.Contains(have, purpose)
}

// The other kinds have in v1beta1 the fields and the defaults of v1.
var (
	trustBundleVersions = api.Versions{api.As[certificatesv1.ClusterTrustBundle, certificatesv1beta1.ClusterTrustBundle]{
		Version: certificatesv1beta1.SchemeGroupVersion, List: &certificatesv1beta1.ClusterTrustBundleList{}}}
	podRequestVersions = api.Versions{api.As[certificatesv1.PodCertificateRequest, certificatesv1beta1.PodCertificateRequest]{
		Version: certificatesv1beta1.SchemeGroupVersion, List: &certificatesv1beta1.PodCertificateRequestList{},
		Read: func(from *certificatesv1beta1.PodCertificateRequest, to *certificatesv1.PodCertificateRequest) error {
			if len(from.Spec.PKIXPublicKey) > 0 || len(from.Spec.ProofOfPossession) > 0 {
				return errors.New("spec.pkixPublicKey and spec.proofOfPossession have no place in certificates.k8s.io/v1: use spec.stubPKCS10Request")
			}
			return api.Recode(from, to)
		}}}
)
