// Package volumeprotection takes the finalizers off claims, volumes and volume
// attributes classes that are being deleted, when nobody uses them any more.
// Admission puts the finalizers on.
//
// A claim is in use while a pod that has not ended names it, a volume while it is
// bound to a claim, a class while a claim or a volume names it. Steps are pure; there is one file.
package volumeprotection

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// The finalizers that keep what is in use.
const (
	claimFinalizer  = "kubernetes.io/pvc-protection"
	volumeFinalizer = "kubernetes.io/pv-protection"
	classFinalizer  = "kubernetes.io/vac-protection"
)

// Claims is the persistentvolumeclaim-protection-controller.
func Claims() controller.Spec {
	return controller.Spec{
		Name: "persistentvolumeclaim-protection-controller", For: all.For[*corev1.PersistentVolumeClaim](),
		Wakes: []controller.Wake{{On: all.For[*corev1.Pod](), Keys: func(_ controller.View, o, _ api.Object) []controller.Key {
			var keys []controller.Key
			for _, name := range claimsOf(o.(*corev1.Pod)) {
				keys = append(keys, controller.Key{Namespace: o.GetNamespace(), Name: name})
			}
			return keys
		}}},
		Step: func(v controller.View, k controller.Key) (controller.Plan, error) {
			return release[*corev1.PersistentVolumeClaim](v, k, claimFinalizer, claimUsed)
		},
	}
}

// Volumes is the persistentvolume-protection-controller.
func Volumes() controller.Spec {
	return controller.Spec{
		Name: "persistentvolume-protection-controller", For: all.For[*corev1.PersistentVolume](),
		Step: func(v controller.View, k controller.Key) (controller.Plan, error) {
			return release(v, k, volumeFinalizer, func(_ controller.View, pv *corev1.PersistentVolume) (bool, error) {
				return pv.Status.Phase == corev1.VolumeBound, nil
			})
		},
	}
}

// Classes is the volumeattributesclass-protection-controller.
func Classes() controller.Spec {
	wake := func(names func(api.Object) []string) func(controller.View, api.Object, api.Object) []controller.Key {
		return func(_ controller.View, o, old api.Object) []controller.Key {
			var keys []controller.Key
			for _, x := range []api.Object{o, old} {
				if x == nil {
					continue
				}
				for _, n := range names(x) {
					keys = append(keys, controller.Key{Name: n})
				}
			}
			return keys
		}
	}
	return controller.Spec{
		Name: "volumeattributesclass-protection-controller", For: all.For[*storagev1.VolumeAttributesClass](),
		Wakes: []controller.Wake{
			{On: all.For[*corev1.PersistentVolumeClaim](), Keys: wake(classesOf)},
			{On: all.For[*corev1.PersistentVolume](), Keys: wake(classesOf)},
		},
		Step: func(v controller.View, k controller.Key) (controller.Plan, error) {
			return release[*storagev1.VolumeAttributesClass](v, k, classFinalizer, classUsed)
		},
	}
}

// release takes the finalizer off an object that is being deleted and not used.
func release[T api.Object](v controller.View, k controller.Key, finalizer string, used func(controller.View, T) (bool, error)) (controller.Plan, error) {
	o, err := client.Get[T](v.Context, v, k.Namespace, k.Name)
	if apierrors.IsNotFound(err) {
		return controller.Plan{}, nil
	}
	if err != nil || o.GetDeletionTimestamp() == nil || !slices.Contains(o.GetFinalizers(), finalizer) {
		return controller.Plan{}, err
	}
	if busy, err := used(v, o); busy || err != nil {
		return controller.Plan{}, err
	}
	c := o.DeepCopyObject().(api.Object)
	c.SetFinalizers(slices.DeleteFunc(slices.Clone(o.GetFinalizers()), func(f string) bool { return f == finalizer }))
	return controller.Plan{Do: []controller.Action{{Update: c, Else: func(err error) []controller.Action {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return []controller.Action{{Fail: err}}
	}}}}, nil
}

// claimsOf are the claims that a pod names, or has made for it.
func claimsOf(p *corev1.Pod) []string {
	var out []string
	for i := range p.Spec.Volumes {
		switch v := &p.Spec.Volumes[i]; {
		case v.PersistentVolumeClaim != nil:
			out = append(out, v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil:
			out = append(out, p.Name+"-"+v.Name)
		}
	}
	return out
}

func claimUsed(v controller.View, c *corev1.PersistentVolumeClaim) (bool, error) {
	pods, err := client.List[*corev1.Pod](v.Context, v, c.Namespace, nil)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(pods, func(p *corev1.Pod) bool {
		ended := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
		// A pod that waits for a node will not get the claim that is going.
		return !ended && p.Spec.NodeName != "" && slices.Contains(claimsOf(p), c.Name)
	}), nil
}

func classesOf(o api.Object) []string {
	var out []string
	note := func(n *string) {
		if n != nil && *n != "" {
			out = append(out, *n)
		}
	}
	switch o := o.(type) {
	case *corev1.PersistentVolumeClaim:
		note(o.Spec.VolumeAttributesClassName)
		note(o.Status.CurrentVolumeAttributesClassName)
		if m := o.Status.ModifyVolumeStatus; m != nil {
			note(&m.TargetVolumeAttributesClassName)
		}
	case *corev1.PersistentVolume:
		note(o.Spec.VolumeAttributesClassName)
	}
	return out
}

func classUsed(v controller.View, c *storagev1.VolumeAttributesClass) (bool, error) {
	claims, err := client.List[*corev1.PersistentVolumeClaim](v.Context, v, "", nil)
	if err != nil {
		return false, err
	}
	volumes, err := client.List[*corev1.PersistentVolume](v.Context, v, "", nil)
	if err != nil {
		return false, err
	}
	for _, o := range claims {
		if slices.Contains(classesOf(o), c.Name) {
			return true, nil
		}
	}
	for _, o := range volumes {
		if slices.Contains(classesOf(o), c.Name) {
			return true, nil
		}
	}
	return false, nil
}
