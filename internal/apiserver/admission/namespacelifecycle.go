package admission

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/client"
)

// namespaceLifecycle refuses new objects in namespaces that are not there or are
// being deleted, and the deletion of the namespaces that a cluster cannot do without.
type namespaceLifecycle struct{ c client.Reader }

func (p namespaceLifecycle) admit(ctx context.Context, a *Attributes) error {
	if a.Operation == Delete && a.Resource.GVK == corev1.SchemeGroupVersion.WithKind("Namespace") {
		switch a.Name {
		case metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic:
			return apierrors.NewForbidden(a.Resource.GroupResource(), a.Name, fmt.Errorf("this namespace may not be deleted"))
		}
	}
	if a.Operation != Create || !a.Resource.Namespaced || a.Resource.Virtual {
		return nil
	}
	ns, err := client.Get[*corev1.Namespace](ctx, p.c, "", a.Namespace)
	if err != nil {
		return err
	}
	if ns.DeletionTimestamp != nil || ns.Status.Phase == corev1.NamespaceTerminating {
		err := apierrors.NewForbidden(a.Resource.GroupResource(), a.Name, fmt.Errorf("unable to create new content in namespace %s because it is being terminated", a.Namespace))
		err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
			Type: corev1.NamespaceTerminatingCause, Message: fmt.Sprintf("namespace %s is being terminated", a.Namespace), Field: "metadata.namespace"})
		return err
	}
	a.Pin = ns
	return nil
}
