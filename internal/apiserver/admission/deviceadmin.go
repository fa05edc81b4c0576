package admission

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/resource"
	"github.com/skiff-k8s/skiff/internal/client"
)

// deviceAdmin lets claims have devices that others use only in namespaces that are
// labelled for it. To clients it is part of the claim's validation.
type deviceAdmin struct{ c client.Reader }

func (p deviceAdmin) request(ctx context.Context, a *Attributes) error {
	return p.check(ctx, a, resource.AdminRequest(a.Object))
}

func (p deviceAdmin) grant(ctx context.Context, a *Attributes) error {
	return p.check(ctx, a, resource.AdminGrant(a.Object.(*resourcev1.ResourceClaim), a.Old.(*resourcev1.ResourceClaim)))
}

func (p deviceAdmin) check(ctx context.Context, a *Attributes, at *field.Path) error {
	if at == nil {
		return nil
	}
	ns, err := client.Get[*corev1.Namespace](ctx, p.c, "", a.Namespace)
	if err != nil {
		return err
	}
	if errs := resource.AdminAccessAt(at, ns.Labels); len(errs) > 0 {
		return apierrors.NewInvalid(a.Resource.GVK.GroupKind(), a.Object.GetName(), errs)
	}
	return nil
}
