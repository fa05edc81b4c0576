package certificates

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// How long a pod's certificate may be good for, in seconds: Kubernetes' own signers never go beyond a day.
const (
	oneHour = int32(3600)
	oneDay  = 24 * oneHour
	longest = 91 * oneDay
)

const (
	maxUID         = 128
	maxStubRequest = 10 * 1024
)

func validatePodRequest(o *certificatesv1.PodCertificateRequest) field.ErrorList {
	s := &o.Spec
	errs := meta.SignerName(s.SignerName, specPath.Child("signerName"))
	for _, f := range []struct{ kind, name, uid string }{
		{"pod", s.PodName, string(s.PodUID)}, {"serviceAccount", s.ServiceAccountName, string(s.ServiceAccountUID)}, {"node", string(s.NodeName), string(s.NodeUID)},
	} {
		errs = append(errs, meta.NameError(specPath.Child(f.kind+"Name"), f.name, meta.DNSSubdomain)...)
		switch at := specPath.Child(f.kind + "UID"); {
		case f.uid == "":
			errs = append(errs, field.Invalid(at, f.uid, "must not be empty"))
		case len(f.uid) > maxUID:
			errs = append(errs, field.TooLong(at, f.uid, maxUID))
		}
	}
	most := longest
	if domain, _, _ := strings.Cut(s.SignerName, "/"); domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") {
		most = oneDay
	}
	if n := s.MaxExpirationSeconds; n != nil && (*n < oneHour || *n > most) {
		errs = append(errs, field.Invalid(specPath.Child("maxExpirationSeconds"), *n, fmt.Sprintf("must be in the range [%d, %d]", oneHour, most)))
	}
	errs = append(errs, meta.UserAnnotations(s.UnverifiedUserAnnotations, specPath.Child("unverifiedUserAnnotations"))...)
	return append(errs, validateStub(s.StubPKCS10Request, specPath.Child("stubPKCS10Request"))...)
}

// validateStub checks that whoever asks has the key, and that signers are likely to know its type.
func validateStub(der []byte, at *field.Path) field.ErrorList {
	bad := func(text string) field.ErrorList {
		return field.ErrorList{field.Invalid(at, field.OmitValueType{}, text)}
	}
	if len(der) == 0 {
		return field.ErrorList{field.Required(at, "")}
	}
	if len(der) > maxStubRequest {
		return field.ErrorList{field.TooLong(at, der, maxStubRequest)}
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return bad("must be a valid PKCS#10 certificate signing request")
	}
	if text := keyTrouble(r.PublicKey); text != "" {
		return bad(text)
	}
	if r.CheckSignature() != nil {
		return bad("could not verify the signature of the certificate signing request")
	}
	return nil
}

func keyTrouble(key any) string {
	switch k := key.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if !slices.Contains([]elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}, k.Curve) {
			return "elliptic public keys must use curve P256, P384 or P521"
		}
	case *rsa.PublicKey:
		if bits := k.Size() * 8; bits != 3072 && bits != 4096 {
			return "RSA keys must have modulus size 3072 or 4096"
		}
	default:
		return "unknown public key type; supported types are Ed25519, ECDSA, and RSA"
	}
	return ""
}
