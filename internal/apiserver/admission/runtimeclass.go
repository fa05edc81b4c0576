package admission

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/client"
)

// runtimeClass adds to a pod what its RuntimeClass costs and where it can run.
type runtimeClass struct{ c client.Reader }

const overheadDiffers = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"

func (p runtimeClass) find(ctx context.Context, a *Attributes) (*nodev1.RuntimeClass, error) {
	name := a.Object.(*corev1.Pod).Spec.RuntimeClassName
	if name == nil || *name == "" {
		return nil, nil
	}
	class, err := client.Get[*nodev1.RuntimeClass](ctx, p.c, "", *name)
	if apierrors.IsNotFound(err) {
		return nil, a.forbidden("pod rejected: RuntimeClass %q not found", *name)
	}
	return class, err
}

func (p runtimeClass) admit(ctx context.Context, a *Attributes) error {
	class, err := p.find(ctx, a)
	if err != nil || class == nil {
		return err
	}
	spec := &a.Object.(*corev1.Pod).Spec
	if o := class.Overhead; o != nil {
		if spec.Overhead != nil && !equality.Semantic.DeepEqual(o.PodFixed, spec.Overhead) {
			return a.forbidden(overheadDiffers)
		}
		spec.Overhead = o.PodFixed.DeepCopy()
	}
	if class.Scheduling == nil {
		return nil
	}
	for _, k := range slices.Sorted(maps.Keys(class.Scheduling.NodeSelector)) {
		v := class.Scheduling.NodeSelector[k]
		if have, ok := spec.NodeSelector[k]; ok && have != v {
			return a.refuse(fmt.Errorf("conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; pod.spec.nodeSelector[%s] = %s", k, v, k, have))
		}
		if spec.NodeSelector == nil {
			spec.NodeSelector = map[string]string{}
		}
		spec.NodeSelector[k] = v
	}
	for _, t := range class.Scheduling.Tolerations {
		if !slices.ContainsFunc(spec.Tolerations, func(have corev1.Toleration) bool { return equality.Semantic.DeepEqual(have, t) }) {
			spec.Tolerations = append(spec.Tolerations, *t.DeepCopy())
		}
	}
	return nil
}

func (p runtimeClass) validate(ctx context.Context, a *Attributes) error {
	class, err := p.find(ctx, a)
	if err != nil {
		return err
	}
	overhead := a.Object.(*corev1.Pod).Spec.Overhead
	if class != nil && class.Overhead != nil {
		if !equality.Semantic.DeepEqual(class.Overhead.PodFixed, overhead) {
			return a.forbidden(overheadDiffers)
		}
		return nil
	}
	if overhead != nil {
		return a.forbidden("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
	}
	return nil
}
