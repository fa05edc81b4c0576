// Package serviceaccount gives every active namespace a ServiceAccount named
// default, and makes it anew when somebody deletes it.
package serviceaccount

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

const name = "default"

// Spec is the serviceaccount-controller.
func Spec() controller.Spec {
	named := client.Selector{Fields: fields.OneTermEqualSelector("metadata.name", name)}
	return controller.Spec{
		Name: "serviceaccount-controller", For: all.For[*corev1.Namespace](),
		Wakes: []controller.Wake{{On: all.For[*corev1.ServiceAccount](), Where: named, Keys: func(_ controller.View, o, _ api.Object) []controller.Key {
			return []controller.Key{{Name: o.GetNamespace()}}
		}}},
		Step: Step,
	}
}

// Step decides about one namespace.
func Step(v controller.View, k controller.Key) (controller.Plan, error) {
	ns, err := client.Get[*corev1.Namespace](v.Context, v, "", k.Name)
	if errors.IsNotFound(err) {
		return controller.Plan{}, nil
	}
	if err != nil || ns.DeletionTimestamp != nil {
		return controller.Plan{}, err
	}
	if _, err := client.Get[*corev1.ServiceAccount](v.Context, v, ns.Name, name); !errors.IsNotFound(err) {
		return controller.Plan{}, err
	}
	return controller.Plan{Do: []controller.Action{{
		Create: &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: name}},
		Else: func(err error) []controller.Action {
			if errors.IsAlreadyExists(err) || errors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
				return nil
			}
			return []controller.Action{{Fail: err}}
		},
	}}}, nil
}
