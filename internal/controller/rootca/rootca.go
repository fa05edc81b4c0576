// Package rootca publishes the certificate authority of the API server in every
// namespace, as the ConfigMap that pods mount beside their tokens.
package rootca

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

const (
	name        = "kube-root-ca.crt"
	annotation  = "kubernetes.io/description"
	description = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. " +
		"No other usage is guaranteed across distributions of Kubernetes clusters."
)

// Spec is the root-ca-certificate-publisher-controller; ca is PEM.
func Spec(ca []byte) controller.Spec {
	data := map[string]string{"ca.crt": string(ca)}
	named := client.Selector{Fields: fields.OneTermEqualSelector("metadata.name", name)}
	return controller.Spec{
		Name: "root-ca-certificate-publisher-controller", For: all.For[*corev1.Namespace](),
		Wakes: []controller.Wake{{On: all.For[*corev1.ConfigMap](), Where: named, Keys: func(_ controller.View, o, _ api.Object) []controller.Key {
			return []controller.Key{{Name: o.GetNamespace()}}
		}}},
		Step: func(v controller.View, k controller.Key) (controller.Plan, error) { return step(v, k, data) },
	}
}

func step(v controller.View, k controller.Key, data map[string]string) (controller.Plan, error) {
	ns, err := client.Get[*corev1.Namespace](v.Context, v, "", k.Name)
	if errors.IsNotFound(err) {
		return controller.Plan{}, nil
	}
	if err != nil || ns.DeletionTimestamp != nil {
		return controller.Plan{}, err
	}
	is, err := client.Get[*corev1.ConfigMap](v.Context, v, ns.Name, name)
	switch {
	case errors.IsNotFound(err):
		return controller.Plan{Do: []controller.Action{{
			Create: &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: name, Annotations: map[string]string{annotation: description}},
				Data:       maps.Clone(data),
			},
			Else: func(err error) []controller.Action {
				if errors.IsAlreadyExists(err) || errors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
					return nil
				}
				return []controller.Action{{Fail: err}}
			},
		}}}, nil
	case err != nil:
		return controller.Plan{}, err
	case maps.Equal(is.Data, data) && is.Annotations[annotation] != "":
		return controller.Plan{}, nil
	}
	next := is.DeepCopy()
	next.Data = maps.Clone(data)
	if next.Annotations[annotation] == "" {
		metav1.SetMetaDataAnnotation(&next.ObjectMeta, annotation, description)
	}
	return controller.Plan{Do: []controller.Action{{Update: next}}}, nil
}
