package certificates

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var specPath = field.NewPath("spec")

var keyUsages = []certificatesv1.KeyUsage{
	"any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only", "digital signature",
	"email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc",
	"netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping",
}

func validateRequest(o *certificatesv1.CertificateSigningRequest) field.ErrorList {
	s := &o.Spec
	var errs field.ErrorList
	if err := parseRequest(s.Request); err != nil {
		errs = append(errs, field.Invalid(specPath.Child("request"), s.Request, err.Error()))
	}
	usages := specPath.Child("usages")
	if len(s.Usages) == 0 {
		errs = append(errs, field.Required(usages, ""))
	}
	seen := make(map[certificatesv1.KeyUsage]bool, len(s.Usages))
	unknown := field.NotSupported(usages, certificatesv1.KeyUsage(""), keyUsages)
	for i, u := range s.Usages {
		if !slices.Contains(keyUsages, u) {
			// The text is long, and the same for all.
			errs = append(errs, &field.Error{Type: unknown.Type, Field: usages.Index(i).String(), BadValue: u, Detail: unknown.Detail})
		}
		if seen[u] {
			errs = append(errs, field.Duplicate(usages.Index(i), u))
		}
		seen[u] = true
	}
	if s.SignerName == "kubernetes.io/legacy-unknown" {
		errs = append(errs, field.Invalid(specPath.Child("signerName"), s.SignerName, "the legacy signerName is not allowed via this API version"))
	} else {
		errs = append(errs, meta.SignerName(s.SignerName, specPath.Child("signerName"))...)
	}
	if e := s.ExpirationSeconds; e != nil && *e < 600 {
		errs = append(errs, field.Invalid(specPath.Child("expirationSeconds"), *e, "may not specify a duration less than 600 seconds (10 minutes)"))
	}
	return errs
}

func parseRequest(data []byte) error {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return err
	}
	return r.CheckSignature()
}

func validateConditions(next, old *certificatesv1.CertificateSigningRequest, approval bool) field.ErrorList {
	at := statusPath.Child("conditions")
	var errs field.ErrorList
	seen := map[certificatesv1.RequestConditionType]bool{}
	for i, c := range next.Status.Conditions {
		idx := at.Index(i)
		if c.Type == "" {
			errs = append(errs, field.Required(idx.Child("type"), ""))
		}
		if seen[c.Type] {
			errs = append(errs, field.Duplicate(idx.Child("type"), c.Type))
		}
		seen[c.Type] = true
		decision := c.Type == certificatesv1.CertificateApproved || c.Type == certificatesv1.CertificateDenied || c.Type == certificatesv1.CertificateFailed
		if c.Status == "" {
			errs = append(errs, field.Required(idx.Child("status"), ""))
		} else if decision && c.Status != corev1.ConditionTrue {
			errs = append(errs, field.NotSupported(idx.Child("status"), c.Status, []corev1.ConditionStatus{corev1.ConditionTrue}))
		} else if c.Status != corev1.ConditionTrue && c.Status != corev1.ConditionFalse && c.Status != corev1.ConditionUnknown {
			errs = append(errs, field.NotSupported(idx.Child("status"), c.Status, []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown}))
		}
	}
	if seen[certificatesv1.CertificateApproved] && seen[certificatesv1.CertificateDenied] {
		errs = append(errs, field.Invalid(at, certificatesv1.CertificateDenied, "Approved and Denied conditions are mutually exclusive"))
	}
	for _, t := range []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied} {
		had := slices.ContainsFunc(old.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool { return c.Type == t })
		switch {
		case had && !seen[t]:
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("updates may not remove a condition of type %q", t)))
		case !had && seen[t] && !approval:
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("updates may not add a condition of type %q", t)))
		}
	}
	return errs
}

func validateRequestStatus(next, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	errs := validateConditions(next, old, false)
	at, have := statusPath.Child("certificate"), next.Status.Certificate
	if had := old.Status.Certificate; !bytes.Equal(have, had) {
		if len(had) > 0 {
			errs = append(errs, field.Forbidden(at, "updates may not modify existing certificate content"))
		}
		if err := parseCertificates(have); err != nil && len(have) > 0 {
			errs = append(errs, field.Invalid(at, have, err.Error()))
		}
	}
	return errs
}

// parseCertificates wants one certificate or more, and nothing that is none.
func parseCertificates(data []byte) error {
	for n := 0; ; n++ {
		block, rest := pem.Decode(data)
		switch {
		case block == nil && n == 0:
			return errors.New("must contain at least one CERTIFICATE PEM block")
		case block == nil:
			return nil
		case block.Type != "CERTIFICATE":
			return fmt.Errorf("only CERTIFICATE PEM blocks are allowed, found %q", block.Type)
		case len(block.Headers) > 0:
			return errors.New("no PEM block headers are permitted")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return err
		}
		data = rest
	}
}

// stampConditions notes when what is known of a request was said first, and when it changed.
func stampConditions(next, old *certificatesv1.CertificateSigningRequest) {
	now := metav1.Now()
	next.Status.Conditions = slices.Clone(next.Status.Conditions)
	for i := range next.Status.Conditions {
		c := &next.Status.Conditions[i]
		if c.LastUpdateTime.IsZero() {
			c.LastUpdateTime = now
		}
		same := func(o certificatesv1.CertificateSigningRequestCondition) bool {
			return o.Type == c.Type && o.Status == c.Status && !o.LastTransitionTime.IsZero()
		}
		if j := slices.IndexFunc(old.Status.Conditions, same); j >= 0 {
			c.LastTransitionTime = old.Status.Conditions[j].LastTransitionTime
		} else if c.LastTransitionTime.IsZero() {
			c.LastTransitionTime = now
		}
	}
}

// validateApproval checks a decision, and dates it when it has no date.
func validateApproval(n, o api.Object) field.ErrorList {
	next, old := n.(*certificatesv1.CertificateSigningRequest), o.(*certificatesv1.CertificateSigningRequest)
	stampConditions(next, old)
	return validateConditions(next, old, true)
}

// conditionText is what was decided, and whether the certificate is there.
func conditionText(o *certificatesv1.CertificateSigningRequest) string {
	var approved, denied, failed bool
	for _, c := range o.Status.Conditions {
		approved = approved || c.Type == certificatesv1.CertificateApproved
		denied = denied || c.Type == certificatesv1.CertificateDenied
		failed = failed || c.Type == certificatesv1.CertificateFailed
	}
	text := "Pending"
	if denied {
		text = "Denied"
	} else if approved {
		text = "Approved"
	}
	if failed {
		text += ",Failed"
	}
	if len(o.Status.Certificate) > 0 {
		text += ",Issued"
	}
	return text
}
