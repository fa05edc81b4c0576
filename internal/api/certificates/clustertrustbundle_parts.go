package certificates

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// maxTrustBundle is how many bytes of certificates one bundle may hold.
const maxTrustBundle = 1 << 20

func validateTrustBundle(o *certificatesv1.ClusterTrustBundle) field.ErrorList {
	errs := meta.Invalids(field.NewPath("metadata", "name"), o.Name, meta.TrustBundleName(o.Name, o.Spec.SignerName))
	if o.Spec.SignerName != "" {
		errs = append(errs, meta.SignerName(o.Spec.SignerName, specPath.Child("signerName"))...)
	}
	return append(errs, validateAnchors(o.Spec.TrustBundle, specPath.Child("trustBundle"))...)
}

// validateAnchors wants certificates of authorities and nothing else; what is between them is skipped.
func validateAnchors(text string, at *field.Path) field.ErrorList {
	if len(text) > maxTrustBundle {
		return field.ErrorList{field.TooLong(at, "<value omitted>", maxTrustBundle)}
	}
	var errs field.ErrorList
	bad := func(format string, args ...any) {
		errs = append(errs, field.Invalid(at, "<value omitted>", fmt.Sprintf(format, args...)))
	}
	indices := map[string][]int{}
	rest := []byte(text)
	for i := 0; ; i++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			bad("entry %d has bad block type: %v", i, block.Type)
		} else if len(block.Headers) > 0 {
			bad("entry %d has PEM block headers", i)
		} else if c, err := x509.ParseCertificate(block.Bytes); err != nil {
			bad("entry %d does not parse as X.509", i)
		} else if !c.IsCA {
			bad("entry %d does not have the CA bit set", i)
		} else {
			indices[string(block.Bytes)] = append(indices[string(block.Bytes)], i)
		}
	}
	if len(errs) > 0 {
		return errs
	}
	if len(indices) == 0 {
		bad("at least one trust anchor must be provided")
	}
	for _, where := range indices {
		if len(where) > 1 {
			bad("duplicate trust anchor (indices %v)", where)
		}
	}
	slices.SortFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Detail, b.Detail) })
	return errs
}

func validateTrustBundleUpdate(next, old *certificatesv1.ClusterTrustBundle) field.ErrorList {
	var errs field.ErrorList
	if next.Spec.SignerName != old.Spec.SignerName {
		errs = append(errs, field.Invalid(specPath.Child("signerName"), next.Spec.SignerName, meta.FieldImmutable))
	}
	// What was let in stays in, whatever certificates must be like by now.
	if next.Spec.TrustBundle != old.Spec.TrustBundle {
		errs = append(errs, validateAnchors(next.Spec.TrustBundle, specPath.Child("trustBundle"))...)
	}
	return errs
}
