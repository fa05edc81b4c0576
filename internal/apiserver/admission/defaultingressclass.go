package admission

import (
	"context"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/client"
)

// defaultIngressClass names the default class in Ingresses that name none.
type defaultIngressClass struct{ c client.Reader }

func (p defaultIngressClass) admit(ctx context.Context, a *Attributes) error {
	ingress := a.Object.(*networkingv1.Ingress)
	if _, ok := ingress.Annotations["kubernetes.io/ingress.class"]; ok || ingress.Spec.IngressClassName != nil {
		return nil
	}
	classes, err := client.List[*networkingv1.IngressClass](ctx, p.c, "", nil)
	if err != nil {
		return err
	}
	classes = slices.DeleteFunc(classes, func(c *networkingv1.IngressClass) bool {
		return !marked(c.Annotations, networkingv1.AnnotationIsDefaultIngressClass)
	})
	switch len(classes) {
	case 0:
	case 1:
		name := classes[0].Name
		ingress.Spec.IngressClassName = &name
	default:
		return a.refuse(apierrors.NewInternalError(fmt.Errorf("%d default IngressClasses were found, only 1 allowed", len(classes))))
	}
	return nil
}
