package admission

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/client"
)

// podTopologyLabels copies where a node is to the pod that is bound to it, so
// that the pod can read it through the downward API.
type podTopologyLabels struct{ c client.Reader }

var topologyLabels = []string{corev1.LabelTopologyZone, corev1.LabelTopologyRegion}

func (p podTopologyLabels) admit(ctx context.Context, a *Attributes) error {
	pod := a.Object.(*corev1.Pod)
	node, err := client.Get[*corev1.Node](ctx, p.c, "", pod.Spec.NodeName)
	if apierrors.IsNotFound(err) {
		return nil // the binding itself is not refused for it
	}
	if err != nil {
		return err
	}
	for _, k := range topologyLabels {
		v, ok := node.Labels[k]
		if !ok {
			continue
		}
		if pod.Labels == nil {
			pod.Labels = map[string]string{}
		}
		pod.Labels[k] = v
	}
	return nil
}
