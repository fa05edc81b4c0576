package kubelet

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
)

// followConfiguration has mounted ConfigMaps and Secrets written anew when they change.
func (k *Kubelet) followConfiguration(ctx context.Context) error {
	errs := make(chan error, 2)
	for _, r := range []*api.Resource{all.For[*corev1.ConfigMap](), all.For[*corev1.Secret]()} {
		go func() { errs <- k.followKind(ctx, r) }()
	}
	err := <-errs
	if ctx.Err() != nil {
		<-errs
	}
	return err
}

func (k *Kubelet) followKind(ctx context.Context, r *api.Resource) error {
	for {
		w, err := k.Client.Watch(ctx, r, "", client.Selector{}, -1)
		if err != nil {
			return err
		}
		synced := false
		for {
			var events []client.Event
			if events, err = w.Next(ctx); err != nil {
				break
			}
			for _, e := range events {
				if e.Synced() {
					synced = true
				} else if synced {
					k.refreshUsers(e.Object)
				}
			}
		}
		w.Close()
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return err
		}
	}
}

func (k *Kubelet) refreshUsers(o api.Object) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.workers {
		if w.namespace == o.GetNamespace() && w.uses(o) {
			w.setRefresh()
		}
	}
}

func (w *worker) uses(o api.Object) bool {
	pod, _ := w.state()
	_, secret := o.(*corev1.Secret)
	name := o.GetName()
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if !secret && v.ConfigMap != nil && v.ConfigMap.Name == name || secret && v.Secret != nil && v.Secret.SecretName == name {
			return true
		}
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if !secret && s.ConfigMap != nil && s.ConfigMap.Name == name || secret && s.Secret != nil && s.Secret.Name == name {
				return true
			}
		}
	}
	return false
}
