package apiextensions

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var reviewVersions = []string{"v1", "v1beta1"}

func hasKnownReview(versions []string) bool {
	return slices.ContainsFunc(versions, func(v string) bool { return slices.Contains(reviewVersions, v) })
}

// conversion checks how versions become each other. compat: the paths are those of the first version of the API.
func (d demand) conversion(c *apiextensions.CustomResourceConversion) field.ErrorList {
	if c == nil {
		return nil
	}
	at := specPath.Child("conversion")
	errs := oneOf(at.Child("strategy"), string(c.Strategy), string(apiextensions.NoneConverter), string(apiextensions.WebhookConverter))
	client, versions := at.Child("webhookClientConfig"), at.Child("conversionReviewVersions")
	if c.Strategy != apiextensions.WebhookConverter {
		const only = "should not be set when strategy is not set to Webhook"
		if c.WebhookClientConfig != nil {
			errs = append(errs, field.Forbidden(client, only))
		}
		if len(c.ConversionReviewVersions) > 0 {
			errs = append(errs, field.Forbidden(versions, only))
		}
		return errs
	}
	if c.WebhookClientConfig == nil {
		errs = append(errs, field.Required(client, "required when strategy is set to Webhook"))
	} else {
		errs = append(errs, d.client(c.WebhookClientConfig, client)...)
	}
	return append(errs, d.reviews(c.ConversionReviewVersions, versions)...)
}

func (d demand) reviews(versions []string, at *field.Path) field.ErrorList {
	if len(versions) == 0 {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	seen := make(map[string]bool, len(versions))
	for i, v := range versions {
		if seen[v] {
			errs = append(errs, field.Invalid(at.Index(i), v, "duplicate version"))
			continue
		}
		seen[v] = true
		errs = append(errs, meta.Invalids(at.Index(i), v, validation.IsDNS1035Label(v))...)
	}
	if d.reviewVersion && !hasKnownReview(versions) {
		errs = append(errs, field.Invalid(at, versions, "must include at least one of "+strings.Join(reviewVersions, ", ")))
	}
	return errs
}

func (d demand) client(c *apiextensions.WebhookClientConfig, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case (c.URL == nil) == (c.Service == nil):
		errs = append(errs, field.Required(at, "exactly one of url or service is required"))
	case c.URL != nil:
		errs = append(errs, validateURL(*c.URL, at.Child("url"))...)
	default:
		errs = append(errs, validateService(c.Service, at.Child("service"))...)
	}
	if err := readBundle(c.CABundle); err != nil && d.readableBundle {
		errs = append(errs, field.Invalid(at.Child("caBundle"), c.CABundle, err.Error()))
	}
	return errs
}

func validateURL(text string, at *field.Path) field.ErrorList {
	const form = "; desired format: https://host[/path]"
	u, err := url.Parse(text)
	if err != nil {
		return field.ErrorList{field.Required(at, "url must be a valid URL: "+err.Error()+form)}
	}
	var errs field.ErrorList
	refuse := func(bad bool, value, why string) {
		if bad {
			errs = append(errs, field.Invalid(at, value, why))
		}
	}
	refuse(u.Scheme != "https", u.Scheme, "'https' is the only allowed URL scheme"+form)
	refuse(u.Host == "", u.Host, "host must be specified"+form)
	refuse(u.User != nil, u.User.String(), "user information is not permitted in the URL")
	refuse(u.Fragment != "", u.Fragment, "fragments are not permitted in the URL")
	refuse(u.RawQuery != "", u.RawQuery, "query parameters are not permitted in the URL")
	return errs
}

func validateService(s *apiextensions.ServiceReference, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	// compat: a service without a name is reported as one without a namespace, and the other way round.
	if s.Namespace == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	}
	if s.Name == "" {
		errs = append(errs, field.Required(at.Child("namespace"), ""))
	}
	if m := validation.IsValidPortNum(int(s.Port)); m != nil {
		errs = append(errs, field.Invalid(at.Child("port"), s.Port, "port is not valid: "+strings.Join(m, ", ")))
	}
	if s.Path == nil || *s.Path == "" || *s.Path == "/" {
		return errs
	}
	path, at := *s.Path, at.Child("path")
	if path == "//" {
		return append(errs, field.Invalid(at, path, "segment[0] may not be empty"))
	}
	if path[0] != '/' {
		errs = append(errs, field.Invalid(at, path, "must start with a '/'"))
	}
	for i, step := range strings.Split(strings.TrimSuffix(path[1:], "/"), "/") {
		if step == "" {
			errs = append(errs, field.Invalid(at, path, fmt.Sprintf("segment[%d] may not be empty", i)))
			continue
		}
		for _, m := range meta.DNSSubdomain(step) {
			errs = append(errs, field.Invalid(at, path, fmt.Sprintf("segment[%d]: %v", i, m)))
		}
	}
	return errs
}

// hasUnreadableBundle tells that a webhook has a CA bundle that its clients cannot use.
func hasUnreadableBundle(c *apiextensions.CustomResourceConversion) bool {
	return c != nil && c.WebhookClientConfig != nil && readBundle(c.WebhookClientConfig.CABundle) != nil
}

// readBundle says why there is no certificate in a CA bundle; an empty one stands for the roots of the system.
func readBundle(bundle []byte) error {
	if len(bundle) == 0 || x509.NewCertPool().AppendCertsFromPEM(bundle) {
		return nil
	}
	why := errors.New("no valid certificate authority data seen")
	for rest := bundle; len(rest) > 0; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			why = errors.New("unable to parse bytes as PEM block")
			break
		}
		if b.Type != "CERTIFICATE" || len(b.Headers) > 0 {
			continue
		}
		if _, err := x509.ParseCertificate(b.Bytes); err != nil {
			why = fmt.Errorf("failed to parse certificate: %w", err)
			break
		}
	}
	return fmt.Errorf("unable to load root certificates: %w", why)
}
