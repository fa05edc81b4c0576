package apiserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/apiserver/webhook"
)

// converters are how objects of a custom kind go from one version to another: one, and many at a time.
// Many are nil where one costs next to nothing.
func (s *Server) converters(crd *apiextensionsv1.CustomResourceDefinition) (one func(api.Object, string) (api.Object, error), many func([]api.Object, string) ([]api.Object, error)) {
	group := crd.Spec.Group
	if c := crd.Spec.Conversion; c != nil && c.Strategy == apiextensionsv1.WebhookConverter && c.Webhook != nil {
		w := &conversionWebhook{s: s, group: group, hook: c.Webhook.DeepCopy(), timeout: conversionTimeout}
		return w.convert, w.convertAll
	}
	return func(o api.Object, version string) (api.Object, error) {
		u, ok := o.(*unstructured.Unstructured)
		if !ok {
			return nil, fmt.Errorf("cannot convert a %T", o)
		}
		u.SetAPIVersion(schema.GroupVersion{Group: group, Version: version}.String())
		return u, nil
	}, nil
}

// conversionWebhook asks somebody outside.
type conversionWebhook struct {
	s     *Server
	group string
	hook  *apiextensionsv1.WebhookConversion

	timeout time.Duration
}

// conversionTimeout is how long an answer may take.
const conversionTimeout = 30 * time.Second

func (w *conversionWebhook) convert(o api.Object, version string) (api.Object, error) {
	out, err := w.convertAll([]api.Object{o}, version)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// convertAll converts objects that are all of one version. The webhook is asked once, or more
// often when its answer to so many is too long.
func (w *conversionWebhook) convertAll(objects []api.Object, version string) ([]api.Object, error) {
	want := schema.GroupVersion{Group: w.group, Version: version}
	from := objects[0].GetObjectKind().GroupVersionKind()
	if from.GroupVersion() == want {
		return objects, nil
	}
	in := make([]*unstructured.Unstructured, len(objects))
	for i, o := range objects {
		u, ok := o.(*unstructured.Unstructured)
		if !ok {
			return nil, fmt.Errorf("cannot convert a %T", o)
		}
		in[i] = u
	}
	answers, err := w.ask(in, want)
	if errors.Is(err, webhook.ErrTooLong) && len(objects) > 1 {
		half := len(objects) / 2
		first, err := w.convertAll(objects[:half], version)
		if err != nil {
			return nil, err
		}
		second, err := w.convertAll(objects[half:], version)
		return append(first, second...), err
	}
	if err != nil {
		return nil, unconvertible(fmt.Errorf("conversion webhook for %v failed: %w", from, err))
	}
	if len(answers) != len(in) {
		return nil, unconvertible(fmt.Errorf("conversion webhook for %v returned %d objects, expected %d", from, len(answers), len(in)))
	}
	out := make([]api.Object, len(in))
	for i := range in {
		if out[i], err = converted(in[i], answers[i].Raw, want); err != nil {
			return nil, unconvertible(fmt.Errorf("conversion webhook for %v returned %w", from, err))
		}
	}
	return out, nil
}

// unconvertible is the answer of Kubernetes to what cannot be converted: a server error without a reason.
func unconvertible(err error) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: err.Error()}}
}

func (w *conversionWebhook) ask(in []*unstructured.Unstructured, want schema.GroupVersion) ([]runtime.RawExtension, error) {
	// Both versions of the question have the same fields.
	i := slices.IndexFunc(w.hook.ConversionReviewVersions, func(v string) bool { return v == "v1" || v == "v1beta1" })
	if i < 0 {
		return nil, fmt.Errorf("does not recognize any of the supported conversion review versions: %v", w.hook.ConversionReviewVersions)
	}
	objects := make([]runtime.RawExtension, len(in))
	for i, u := range in {
		var err error
		if objects[i].Raw, err = marshalJSON(u.Object); err != nil {
			return nil, err
		}
	}
	q := apiextensionsv1.ConversionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/" + w.hook.ConversionReviewVersions[i], Kind: "ConversionReview"},
		Request:  &apiextensionsv1.ConversionRequest{UID: uuid.NewUUID(), DesiredAPIVersion: want.String(), Objects: objects},
	}
	var a apiextensionsv1.ConversionReview
	if err := w.s.webhooks.Post(context.Background(), conversionTarget(w.hook.ClientConfig), w.timeout, &q, &a); err != nil {
		return nil, err
	}
	// compat: servers of the old version need not say which question they answer.
	strict := w.hook.ConversionReviewVersions[i] == "v1"
	switch {
	case strict && (a.APIVersion != q.APIVersion || a.Kind != q.Kind):
		return nil, fmt.Errorf("expected webhook response of %v, got %v", q.GroupVersionKind(), a.GroupVersionKind())
	case a.Response == nil:
		return nil, errors.New("no response provided")
	case strict && a.Response.UID != q.Request.UID:
		return nil, fmt.Errorf("expected response.uid=%q, got %q", q.Request.UID, a.Response.UID)
	case a.Response.Result.Status != metav1.StatusSuccess && a.Response.Result.Message == "":
		return nil, fmt.Errorf("response.result.status was '%s', not 'Success'", a.Response.Result.Status)
	case a.Response.Result.Status != metav1.StatusSuccess:
		return nil, errors.New(a.Response.Result.Message)
	}
	return a.Response.ConvertedObjects, nil
}

// converted reads what the webhook made of an object. Of the metadata, labels and annotations
// are the webhook's to change; the rest stays.
func converted(from *unstructured.Unstructured, raw []byte, want schema.GroupVersion) (*unstructured.Unstructured, error) {
	to := &unstructured.Unstructured{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &to.Object); err != nil {
		return nil, fmt.Errorf("invalid object: %w", err)
	}
	have, err := schema.ParseGroupVersion(to.GetAPIVersion())
	switch {
	case err != nil || have != want:
		return nil, fmt.Errorf("invalid object: invalid groupVersion (expected %v, received %v)", want, to.GetAPIVersion())
	case to.GetKind() != from.GetKind():
		return nil, fmt.Errorf("invalid object: invalid kind (expected %v, received %v)", from.GetKind(), to.GetKind())
	case to.GetName() != from.GetName():
		return nil, fmt.Errorf("invalid object: must have the same name: %v != %v", from.GetName(), to.GetName())
	case to.GetNamespace() != from.GetNamespace():
		return nil, fmt.Errorf("invalid object: must have the same namespace: %v != %v", from.GetNamespace(), to.GetNamespace())
	case to.GetUID() != from.GetUID():
		return nil, fmt.Errorf("invalid object: must have the same UID: %v != %v", from.GetUID(), to.GetUID())
	}
	if err := keepMetadata(from, to); err != nil {
		return nil, fmt.Errorf("invalid metadata: %w", err)
	}
	return to, nil
}

func keepMetadata(from, to *unstructured.Unstructured) error {
	answered, ok := to.Object["metadata"].(map[string]any)
	switch {
	case to.Object["metadata"] == nil:
		return errors.New("missing metadata in converted object")
	case !ok:
		return fmt.Errorf("invalid metadata of type %T in converted object", to.Object["metadata"])
	}
	meta := map[string]any{}
	if m, ok := from.Object["metadata"].(map[string]any); ok {
		meta = runtime.DeepCopyJSON(m)
	}
	if err := takeTexts(meta, answered, "labels", from.GetLabels(), func(m map[string]string) field.ErrorList {
		return metav1validation.ValidateLabels(m, field.NewPath("metadata", "labels"))
	}); err != nil {
		return err
	}
	if err := takeTexts(meta, answered, "annotations", from.GetAnnotations(), func(m map[string]string) field.ErrorList {
		return validation.ValidateAnnotations(m, field.NewPath("metadata", "annotation"))
	}); err != nil {
		return err
	}
	to.Object["metadata"] = meta
	return nil
}

// takeTexts takes labels or annotations over, and judges them if they are others than before.
func takeTexts(meta, answered map[string]any, name string, had map[string]string, judge func(map[string]string) field.ErrorList) error {
	delete(meta, name)
	if answered[name] == nil {
		return nil
	}
	got, ok := answered[name].(map[string]any)
	if !ok {
		return fmt.Errorf("invalid metadata.%s of type %T in converted object", name, answered[name])
	}
	texts := make(map[string]string, len(got))
	for k, v := range got {
		if texts[k], ok = v.(string); !ok {
			return fmt.Errorf("metadata.%s[%s] must be a string, but is %T in converted object", name, k, v)
		}
	}
	if !maps.Equal(texts, had) {
		if errs := judge(texts); len(errs) > 0 {
			return errs.ToAggregate()
		}
	}
	meta[name] = got
	return nil
}

func conversionTarget(c *apiextensionsv1.WebhookClientConfig) webhook.Target {
	if c == nil {
		return webhook.Target{}
	}
	t := webhook.Target{CABundle: c.CABundle}
	if c.URL != nil {
		t.URL = *c.URL
	}
	if r := c.Service; r != nil {
		t.Service = &webhook.Service{Namespace: r.Namespace, Name: r.Name, Port: 443}
		if r.Path != nil {
			t.Service.Path = *r.Path
		}
		if r.Port != nil {
			t.Service.Port = *r.Port
		}
	}
	return t
}
