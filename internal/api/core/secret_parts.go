package core

import (
	"crypto/tls"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// defaultSecret gives the type, and takes over what was written as text.
func defaultSecret(o *corev1.Secret) {
	meta.Default(&o.Type, corev1.SecretTypeOpaque)
	if len(o.StringData) > 0 && o.Data == nil {
		o.Data = make(map[string][]byte, len(o.StringData))
	}
	for k, v := range o.StringData {
		o.Data[k] = []byte(v)
	}
	o.StringData = nil
	for k, v := range o.Data {
		if v == nil {
			o.Data[k] = []byte{}
		}
	}
}

func prepareSecret(o *corev1.Secret) { defaultSecret(o) }

func prepareSecretUpdate(next, old *corev1.Secret) {
	meta.Default(&next.Type, old.Type)
	defaultSecret(next)
}

var dataPath = field.NewPath("data")

const redacted = "<secret contents redacted>"

func validateSecret(o *corev1.Secret) field.ErrorList {
	var errs field.ErrorList
	at := dataPath
	size := 0
	for k, v := range o.Data {
		if msgs := meta.ConfigKey(k); msgs != nil {
			errs = append(errs, meta.Invalids(at.Key(k), k, msgs)...)
		}
		size += len(v)
	}
	if size > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(at, "", corev1.MaxSecretSize))
	}
	need := func(keys ...string) {
		for _, k := range keys {
			if _, ok := o.Data[k]; !ok {
				errs = append(errs, field.Required(at.Key(k), ""))
			}
		}
	}
	isJSON := func(key string) {
		v, ok := o.Data[key]
		if !ok {
			errs = append(errs, field.Required(at.Key(key), ""))
			return
		}
		var any map[string]any
		if err := json.Unmarshal(v, &any); err != nil {
			errs = append(errs, field.Invalid(at.Key(key), redacted, err.Error()))
		}
	}
	switch o.Type {
	case corev1.SecretTypeServiceAccountToken:
		if o.Annotations[corev1.ServiceAccountNameKey] == "" {
			errs = append(errs, field.Required(field.NewPath("metadata", "annotations").Key(corev1.ServiceAccountNameKey), ""))
		}
	case corev1.SecretTypeDockercfg:
		isJSON(corev1.DockerConfigKey)
	case corev1.SecretTypeDockerConfigJson:
		isJSON(corev1.DockerConfigJsonKey)
	case corev1.SecretTypeBasicAuth:
		_, user := o.Data[corev1.BasicAuthUsernameKey]
		_, password := o.Data[corev1.BasicAuthPasswordKey]
		if !user && !password {
			need(corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey)
		}
	case corev1.SecretTypeSSHAuth:
		if len(o.Data[corev1.SSHAuthPrivateKey]) == 0 {
			errs = append(errs, field.Required(at.Key(corev1.SSHAuthPrivateKey), ""))
		}
	case corev1.SecretTypeTLS:
		need(corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	return errs
}

func validateSecretUpdate(next, old *corev1.Secret) field.ErrorList {
	var errs field.ErrorList
	if next.Type != old.Type {
		errs = append(errs, field.Invalid(field.NewPath("type"), next.Type, meta.FieldImmutable))
	}
	if old.Immutable != nil && *old.Immutable {
		if next.Immutable == nil || !*next.Immutable {
			errs = append(errs, field.Forbidden(field.NewPath("immutable"), "field is immutable when `immutable` is set"))
		}
		if !meta.Equal(&next.Data, &old.Data) {
			errs = append(errs, field.Forbidden(field.NewPath("data"), "field is immutable when `immutable` is set"))
		}
	}
	return append(errs, validateSecret(next)...)
}

// warnSecret tells when a certificate and its key do not fit each other.
func warnSecret(next, old *corev1.Secret) []string {
	if next.Type != corev1.SecretTypeTLS || old != nil && meta.Equal(&next.Data, &old.Data) {
		return nil
	}
	if _, err := tls.X509KeyPair(next.Data[corev1.TLSCertKey], next.Data[corev1.TLSPrivateKeyKey]); err != nil {
		return []string{err.Error()}
	}
	return nil
}
