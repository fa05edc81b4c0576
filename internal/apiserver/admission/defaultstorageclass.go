package admission

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/skiff-k8s/skiff/internal/client"
)

// defaultStorageClass names the default class in claims that name none.
type defaultStorageClass struct{ c client.Reader }

var defaultStorageAnnotations = []string{"storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"}

func (p defaultStorageClass) admit(ctx context.Context, a *Attributes) error {
	claim := a.Object.(*corev1.PersistentVolumeClaim)
	if _, ok := claim.Annotations[corev1.BetaStorageClassAnnotation]; ok || claim.Spec.StorageClassName != nil {
		return nil
	}
	classes, err := client.List[*storagev1.StorageClass](ctx, p.c, "", nil)
	if err != nil {
		return err
	}
	classes = slices.DeleteFunc(classes, func(c *storagev1.StorageClass) bool { return !marked(c.Annotations, defaultStorageAnnotations...) })
	if len(classes) == 0 {
		return nil
	}
	// Several may be marked while an administrator changes the default: the newest is meant.
	best := slices.MinFunc(classes, func(a, b *storagev1.StorageClass) int {
		if t := b.CreationTimestamp.Compare(a.CreationTimestamp.Time); t != 0 {
			return t
		}
		return strings.Compare(a.Name, b.Name)
	})
	name := best.Name
	claim.Spec.StorageClassName = &name
	return nil
}

// marked tells whether one of the annotations says "true".
func marked(annotations map[string]string, keys ...string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { return annotations[k] == "true" })
}
