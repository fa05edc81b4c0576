package certificates

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var (
	statusPath = field.NewPath("status")
	decisions  = []string{certificatesv1.PodCertificateRequestConditionTypeIssued, certificatesv1.PodCertificateRequestConditionTypeDenied, certificatesv1.PodCertificateRequestConditionTypeFailed}
)

const (
	maxChain = 100 * 1024
	// clockSkew is how far a signer's clock may be from ours.
	clockSkew = 5 * time.Minute
	// refreshMargin keeps a refresh away from both ends of a certificate's life.
	refreshMargin = 10 * time.Minute
)

// decided is how a request ended; empty: it has not.
func decided(s *certificatesv1.PodCertificateRequestStatus) string {
	for _, c := range s.Conditions {
		if slices.Contains(decisions, c.Type) && c.Status == metav1.ConditionTrue {
			return c.Type
		}
	}
	return ""
}

// validatePodRequestStatus lets a request be decided once: with a certificate, or without one.
func validatePodRequestStatus(next, old *certificatesv1.PodCertificateRequest) field.ErrorList {
	if errs := validateDecision(next.Status.Conditions, statusPath.Child("conditions")); len(errs) > 0 {
		return errs
	}
	refuse := func(text string) field.ErrorList {
		return field.ErrorList{field.Invalid(statusPath, field.OmitValueType{}, text)}
	}
	n, o := &next.Status, &old.Status
	switch decision := decided(n); {
	case decided(o) != "":
		if !meta.Equal(n, o) {
			return refuse("immutable after PodCertificateRequest is issued, denied, or failed")
		}
	case decision == "":
		if !meta.Equal(n, o) {
			return refuse(`status is immutable unless transitioning to "Issued", "Denied", or "Failed"`)
		}
	case decision != certificatesv1.PodCertificateRequestConditionTypeIssued:
		if !meta.Equal(n, &certificatesv1.PodCertificateRequestStatus{Conditions: n.Conditions}) {
			return refuse("non-condition status fields must be empty when denying or failing the PodCertificateRequest")
		}
	default:
		return validateIssued(next)
	}
	return nil
}

func validateDecision(cs []metav1.Condition, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	n := 0
	for i, c := range cs {
		if !slices.Contains(decisions, c.Type) {
			errs = append(errs, field.NotSupported(at.Index(i).Child("type"), c.Type, decisions))
			continue
		}
		if n++; n > 1 {
			errs = append(errs, field.Invalid(at.Index(i).Child("type"), c.Type, `There may be at most one condition with type "Issued", "Denied", or "Failed"`))
		}
		if c.Status != metav1.ConditionTrue {
			errs = append(errs, field.NotSupported(at.Index(i).Child("status"), c.Status, []metav1.ConditionStatus{metav1.ConditionTrue}))
		}
	}
	return append(errs, validation.ValidateConditions(cs, at)...)
}

// validateIssued checks the chain and what is told of its first certificate.
func validateIssued(o *certificatesv1.PodCertificateRequest) field.ErrorList {
	at := statusPath.Child("certificateChain")
	if len(o.Status.CertificateChain) > maxChain {
		return field.ErrorList{field.TooLong(at, o.Status.CertificateChain, maxChain)}
	}
	chain, text := parseChain(o.Status.CertificateChain)
	if text != "" {
		return field.ErrorList{field.Invalid(at, o.Status.CertificateChain, text)}
	}
	leaf := chain[0]
	if r, err := x509.ParseCertificateRequest(o.Spec.StubPKCS10Request); err == nil {
		if key, ok := r.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); ok && !key.Equal(leaf.PublicKey) {
			return field.ErrorList{field.Invalid(at, o.Status.CertificateChain, "leaf certificate was not issued to the requested public key")}
		}
	}
	if errs := validateTimes(&o.Status, leaf); len(errs) > 0 {
		return errs
	}
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	if life < time.Hour {
		return field.ErrorList{field.Invalid(at, life, "leaf certificate lifetime must be >= 1 hour")}
	}
	if most := o.Spec.MaxExpirationSeconds; most != nil && life > time.Duration(*most)*time.Second {
		return field.ErrorList{field.Invalid(at, life, fmt.Sprintf("leaf certificate lifetime must be <= spec.maxExpirationSeconds (%v)", *most))}
	}
	return nil
}

func parseChain(text string) (chain []*x509.Certificate, trouble string) {
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, "issued certificate chain must consist entirely of CERTIFICATE PEM blocks"
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil && len(chain) == 0 {
			return nil, "leaf certificate does not parse as valid X.509"
		}
		if err != nil {
			return nil, "intermediate certificate does not parse as valid X.509"
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, "issued certificate chain must contain at least one certificate"
	}
	return chain, ""
}

// validateTimes holds what the status tells against the certificate.
func validateTimes(s *certificatesv1.PodCertificateRequestStatus, leaf *x509.Certificate) field.ErrorList {
	before, after, refresh := statusPath.Child("notBefore"), statusPath.Child("notAfter"), statusPath.Child("beginRefreshAt")
	var errs field.ErrorList
	const consistent = "must be present and consistent with the issued certificate"
	for _, f := range []struct {
		at   *field.Path
		t    *metav1.Time
		text string
	}{{before, s.NotBefore, consistent}, {after, s.NotAfter, consistent}, {refresh, s.BeginRefreshAt, "must be present and in the range [notbefore+10min, notafter-10min]"}} {
		if f.t == nil {
			errs = append(errs, field.Required(f.at, f.text))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	invalid := func(at *field.Path, t *metav1.Time, text string) field.ErrorList {
		return field.ErrorList{field.Invalid(at, t.Time, text)}
	}
	switch {
	case !s.NotBefore.Time.Equal(leaf.NotBefore):
		return invalid(before, s.NotBefore, "must be set to the NotBefore time encoded in the leaf certificate")
	case time.Since(leaf.NotBefore).Abs() >= clockSkew:
		return invalid(before, s.NotBefore, "must be set to within 5 minutes of kube-apiserver's current time")
	case !s.NotAfter.Time.Equal(leaf.NotAfter):
		return invalid(after, s.NotAfter, "must be set to the NotAfter time encoded in the leaf certificate")
	case s.BeginRefreshAt.Time.Before(leaf.NotBefore.Add(refreshMargin)):
		return invalid(refresh, s.BeginRefreshAt, "must be at least 10 minutes after status.notBefore")
	case s.BeginRefreshAt.Time.After(leaf.NotAfter.Add(-refreshMargin)):
		return invalid(refresh, s.BeginRefreshAt, "must be at least 10 minutes before status.notAfter")
	}
	return nil
}
