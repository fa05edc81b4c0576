package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// projection checks the sources of one projected volume, whose paths must differ.
type projection struct {
	at    *field.Path
	paths seen[string]
	errs  field.ErrorList
}

func validateProjected(s *corev1.ProjectedVolumeSource, at *field.Path) field.ErrorList {
	p := projection{at: at, errs: validateMode(s.DefaultMode, at, "defaultMode")}
	for i := range s.Sources {
		p.source(&s.Sources[i], meta.Index(meta.Child(at, "sources"), i))
	}
	return p.errs
}

func (p *projection) claim(path, value string) {
	if p.paths.add(path) {
		p.errs = append(p.errs, field.Invalid(p.at, value, "conflicting duplicate paths"))
	}
}

func (p *projection) items(name string, items []corev1.KeyToPath, at *field.Path) {
	p.errs = append(p.errs, required(at, "name", name)...)
	p.errs = append(p.errs, validateItems(items, at)...)
	for i := range items {
		if items[i].Path != "" {
			p.claim(items[i].Path, name)
		}
	}
}

func (p *projection) source(s *corev1.VolumeProjection, at *field.Path) {
	n := 0
	one := func(name string, set bool, check func(at *field.Path)) {
		if !set {
			return
		}
		n++
		check(meta.Child(at, name))
	}
	one("secret", s.Secret != nil, func(at *field.Path) { p.items(s.Secret.Name, s.Secret.Items, at) })
	one("configMap", s.ConfigMap != nil, func(at *field.Path) { p.items(s.ConfigMap.Name, s.ConfigMap.Items, at) })
	one("downwardAPI", s.DownwardAPI != nil, func(at *field.Path) {
		for i := range s.DownwardAPI.Items {
			f := &s.DownwardAPI.Items[i]
			p.errs = append(p.errs, validateDownwardFile(f, at)...)
			if f.Path != "" {
				p.claim(f.Path, f.Path)
			}
		}
	})
	one("serviceAccountToken", s.ServiceAccountToken != nil, func(at *field.Path) { p.token(s.ServiceAccountToken, at) })
	one("clusterTrustBundle", s.ClusterTrustBundle != nil, func(at *field.Path) { p.trustBundle(s.ClusterTrustBundle, at) })
	one("podCertificate", s.PodCertificate != nil, func(at *field.Path) { p.certificate(s.PodCertificate, at) })
	// compat: a source of no type is nothing; its writer is warned.
	if n > 1 {
		p.errs = append(p.errs, field.Forbidden(at, "may not specify more than 1 volume type per source"))
	}
}

func (p *projection) token(t *corev1.ServiceAccountTokenProjection, at *field.Path) {
	if e := t.ExpirationSeconds; e != nil {
		if *e < 10*60 {
			p.errs = append(p.errs, field.Invalid(at.Child("expirationSeconds"), *e, "may not specify a duration less than 10 minutes"))
		}
		if *e > 1<<32 {
			p.errs = append(p.errs, field.Invalid(at.Child("expirationSeconds"), *e, "may not specify a duration larger than 2^32 seconds"))
		}
	}
	// compat: the path of a token is reported at the volume, and may be another file's too.
	p.file(t.Path, p.at)
}

// file checks the path of a single projected file.
func (p *projection) file(path string, at *field.Path) {
	p.errs = append(p.errs, required(at, "path", path)...)
	p.errs = append(p.errs, projectedPath(path, meta.Child(at, "path"))...)
}

func (p *projection) trustBundle(t *corev1.ClusterTrustBundleProjection, at *field.Path) {
	switch {
	case t.Name != nil && t.SignerName != nil:
		p.errs = append(p.errs, field.Invalid(at, meta.GoNames(t), "only one of name and signerName may be used"))
	case t.Name != nil:
		if *t.Name == "" {
			p.errs = append(p.errs, field.Required(at.Child("name"), "must be a valid object name"))
		}
		for _, m := range meta.TrustBundleName(*t.Name, meta.BundleSigner(*t.Name)) {
			p.errs = append(p.errs, field.Invalid(at.Child("name"), *t.Name, "not a valid clustertrustbundlename: "+m))
		}
		if t.LabelSelector != nil {
			p.errs = append(p.errs, field.Invalid(at.Child("labelSelector"), t.LabelSelector, "labelSelector must be unset if name is specified"))
		}
	case t.SignerName != nil:
		if *t.SignerName == "" {
			p.errs = append(p.errs, field.Required(at.Child("signerName"), "must be a valid signer name"))
		}
		p.errs = append(p.errs, meta.SignerName(*t.SignerName, meta.Child(at, "signerName"))...)
		p.errs = append(p.errs, meta.LabelSelector(t.LabelSelector, meta.Child(at, "labelSelector"))...)
	default:
		p.errs = append(p.errs, field.Required(at, "either name or signerName must be specified"))
	}
	p.file(t.Path, at)
	p.claim(t.Path, t.Path)
}

func (p *projection) certificate(c *corev1.PodCertificateProjection, at *field.Path) {
	p.errs = append(p.errs, meta.SignerName(c.SignerName, meta.Child(at, "signerName"))...)
	p.errs = append(p.errs, meta.UserAnnotations(c.UserAnnotations, meta.Child(at, "userAnnotations"))...)
	p.errs = append(p.errs, supported(meta.Child(at, "keyType"), c.KeyType, []string{"RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"})...)
	if e := c.MaxExpirationSeconds; e != nil {
		if *e < 3600 {
			p.errs = append(p.errs, field.Invalid(at.Child("maxExpirationSeconds"), *e, "if provided, maxExpirationSeconds must be >= 3600"))
		}
		if *e > 91*24*3600 {
			p.errs = append(p.errs, field.Invalid(at.Child("maxExpirationSeconds"), *e, "if provided, maxExpirationSeconds must be <= 7862400"))
		}
	}
	if c.CredentialBundlePath == "" && c.KeyPath == "" && c.CertificateChainPath == "" {
		p.errs = append(p.errs, field.Required(at, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"))
	}
	for _, f := range []struct{ name, path string }{{"credentialBundlePath", c.CredentialBundlePath}, {"keyPath", c.KeyPath}, {"certificateChainPath", c.CertificateChainPath}} {
		if f.path != "" {
			p.errs = append(p.errs, projectedPath(f.path, meta.Child(at, f.name))...)
			p.claim(f.path, f.path)
		}
	}
}
