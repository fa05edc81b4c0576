package apiserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/uuid"
	kjson "sigs.k8s.io/json"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/apiserver/webhook"
)

// converter is how objects of a custom kind go from one version to another.
func (s *Server) converter(crd *apiextensionsv1.CustomResourceDefinition) func(api.Object, string) (api.Object, error) {
	group := crd.Spec.Group
	if c := crd.Spec.Conversion; c != nil && c.Strategy == apiextensionsv1.WebhookConverter && c.Webhook != nil {
		w := &conversionWebhook{s: s, group: group, hook: c.Webhook.DeepCopy()}
		return w.convert
	}
	return func(o api.Object, version string) (api.Object, error) {
		u, ok := o.(*unstructured.Unstructured)
		if !ok {
			return nil, fmt.Errorf("cannot convert a %T", o)
		}
		u.SetAPIVersion(schema.GroupVersion{Group: group, Version: version}.String())
		return u, nil
	}
}

// conversionWebhook asks somebody outside.
type conversionWebhook struct {
	s     *Server
	group string
	hook  *apiextensionsv1.WebhookConversion
}

// conversionTimeout is how long an answer may take.
const conversionTimeout = 30 * time.Second

func (w *conversionWebhook) convert(o api.Object, version string) (api.Object, error) {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("cannot convert a %T", o)
	}
	from := u.GroupVersionKind()
	want := schema.GroupVersion{Group: w.group, Version: version}
	if from.GroupVersion() == want {
		return u, nil
	}
	out, err := w.ask(u, want)
	if err != nil {
		return nil, apierrors.NewInternalError(fmt.Errorf("conversion webhook for %v failed: %w", from, err))
	}
	return out, nil
}

func (w *conversionWebhook) ask(u *unstructured.Unstructured, want schema.GroupVersion) (*unstructured.Unstructured, error) {
	hook := w.hook
	// Both versions of the question have the same fields.
	version := ""
	for _, v := range hook.ConversionReviewVersions {
		if v == "v1" || v == "v1beta1" {
			version = v
			break
		}
	}
	if version == "" {
		return nil, fmt.Errorf("does not recognize any of the supported conversion review versions: %v", hook.ConversionReviewVersions)
	}
	raw, err := u.MarshalJSON()
	if err != nil {
		return nil, err
	}
	q := apiextensionsv1.ConversionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/" + version, Kind: "ConversionReview"},
		Request:  &apiextensionsv1.ConversionRequest{UID: uuid.NewUUID(), DesiredAPIVersion: want.String(), Objects: []runtime.RawExtension{{Raw: raw}}},
	}
	var a apiextensionsv1.ConversionReview
	if err := w.s.webhooks.Post(context.Background(), conversionTarget(hook.ClientConfig), conversionTimeout, &q, &a); err != nil {
		return nil, err
	}
	switch {
	case a.APIVersion != q.APIVersion || a.Kind != q.Kind:
		return nil, fmt.Errorf("expected webhook response of %s, got %s, Kind=%s", q.GroupVersionKind(), a.APIVersion, a.Kind)
	case a.Response == nil:
		return nil, errors.New("no response provided")
	case a.Response.UID != q.Request.UID:
		return nil, fmt.Errorf("expected response.uid %q, got %q", q.Request.UID, a.Response.UID)
	case a.Response.Result.Status != metav1.StatusSuccess && a.Response.Result.Message == "":
		return nil, fmt.Errorf("response.result.status was %q, not Success", a.Response.Result.Status)
	case a.Response.Result.Status != metav1.StatusSuccess:
		return nil, errors.New(a.Response.Result.Message)
	case len(a.Response.ConvertedObjects) != 1:
		return nil, fmt.Errorf("webhook returned %d objects, expected 1", len(a.Response.ConvertedObjects))
	}
	out := &unstructured.Unstructured{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(a.Response.ConvertedObjects[0].Raw, &out.Object); err != nil {
		return nil, fmt.Errorf("invalid converted object: %w", err)
	}
	return out, checkConverted(u, out, want)
}

// checkConverted refuses what a conversion may not change, and restores what it has no say in:
// of the metadata, labels and annotations are its own.
func checkConverted(from, to *unstructured.Unstructured, want schema.GroupVersion) error {
	switch {
	case to.GetAPIVersion() != want.String() || to.GetKind() != from.GetKind():
		return fmt.Errorf("webhook returned an object of %s, Kind=%s, expected %s, Kind=%s", to.GetAPIVersion(), to.GetKind(), want, from.GetKind())
	case to.GetName() != from.GetName():
		return fmt.Errorf("invalid metadata of converted object: must have the same name: %v != %v", to.GetName(), from.GetName())
	case to.GetNamespace() != from.GetNamespace():
		return fmt.Errorf("invalid metadata of converted object: must have the same namespace: %v != %v", to.GetNamespace(), from.GetNamespace())
	case to.GetUID() != from.GetUID():
		return fmt.Errorf("invalid metadata of converted object: must have the same UID: %v != %v", to.GetUID(), from.GetUID())
	}
	labels, annotations := to.GetLabels(), to.GetAnnotations()
	if meta, ok := from.Object["metadata"].(map[string]any); ok {
		to.Object["metadata"] = runtime.DeepCopyJSON(meta)
	}
	to.SetLabels(labels)
	to.SetAnnotations(annotations)
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
