package admission

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/skiff-k8s/skiff/internal/client"
)

// claimResize lets a claim grow only where its StorageClass says that volumes can.
type claimResize struct{ c client.Reader }

func (p claimResize) validate(ctx context.Context, a *Attributes) error {
	claim, old := a.Object.(*corev1.PersistentVolumeClaim), a.Old.(*corev1.PersistentVolumeClaim)
	was, is := old.Spec.Resources.Requests[corev1.ResourceStorage], claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if was.Cmp(is) >= 0 {
		return nil
	}
	if old.Status.Phase != corev1.ClaimBound {
		return a.forbidden("Only bound persistent volume claims can be expanded")
	}
	name := storageClassOf(claim)
	if name != "" && name == storageClassOf(old) {
		class, err := client.Get[*storagev1.StorageClass](ctx, p.c, "", name)
		if err == nil && class.AllowVolumeExpansion != nil && *class.AllowVolumeExpansion {
			return nil
		}
	}
	return a.forbidden("only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize")
}

// storageClassOf is the class that a claim names; the old annotation goes first.
func storageClassOf(c *corev1.PersistentVolumeClaim) string {
	if name, ok := c.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		return name
	}
	if c.Spec.StorageClassName != nil {
		return *c.Spec.StorageClassName
	}
	return ""
}
