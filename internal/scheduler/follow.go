package scheduler

import (
	"context"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/scheduler/plugins"
)

// followed is a kind that the scheduler watches. All but on belongs to the loop.
type followed struct {
	on    *api.Resource
	set   func(api.Object)
	gone  func(api.Object)
	seen  map[types.UID]seen
	epoch int  // counts the lists
	whole bool // one list came to its end
}

// seen is what the last event said of an object.
type seen struct {
	object api.Object
	epoch  int
}

// follows lists what the scheduler watches, in the order of what depends on what.
func (s *Scheduler) follows() []*followed {
	snap := s.core.Snapshot
	return []*followed{
		kind(func(n *corev1.Namespace) { s.setNamespace(n.Name, labelsOf(n)) },
			func(n *corev1.Namespace) { s.setNamespace(n.Name, nil) }),
		kind(s.setNode, s.dropNode),
		kind(func(o *corev1.Service) { snap.SetService(o.Namespace, o.Name, o.Spec.Selector) },
			func(o *corev1.Service) { snap.SetService(o.Namespace, o.Name, nil) }),
		kind(func(o *corev1.ReplicationController) { snap.SetOwner(string(o.UID), asLabelSelector(o.Spec.Selector)) },
			func(o *corev1.ReplicationController) { snap.SetOwner(string(o.UID), nil) }),
		kind(func(o *appsv1.ReplicaSet) { snap.SetOwner(string(o.UID), o.Spec.Selector) },
			func(o *appsv1.ReplicaSet) { snap.SetOwner(string(o.UID), nil) }),
		kind(func(o *appsv1.StatefulSet) { snap.SetOwner(string(o.UID), o.Spec.Selector) },
			func(o *appsv1.StatefulSet) { snap.SetOwner(string(o.UID), nil) }),
		kind(func(o *corev1.PersistentVolumeClaim) { setIn(s, snap.Volumes.Claims, claimKey(o), o) },
			func(o *corev1.PersistentVolumeClaim) { delete(snap.Volumes.Claims, claimKey(o)) }),
		kind(func(o *corev1.PersistentVolume) { setIn(s, snap.Volumes.PVs, o.Name, o) },
			func(o *corev1.PersistentVolume) { delete(snap.Volumes.PVs, o.Name) }),
		kind(func(o *storagev1.StorageClass) { setIn(s, snap.Volumes.Classes, o.Name, o) },
			func(o *storagev1.StorageClass) { delete(snap.Volumes.Classes, o.Name) }),
		kind(s.setVolumeLimits, func(o *storagev1.CSINode) { delete(snap.Volumes.Limits, o.Name) }),
		kind(s.setBudget, func(o *policyv1.PodDisruptionBudget) { delete(s.pdbs, string(o.UID)) }),
		kind(s.setPod, s.dropPod),
	}
}

// kind makes a followed of two typed functions.
func kind[T api.Object](set, gone func(T)) *followed {
	return &followed{
		on: all.For[T](), seen: map[types.UID]seen{},
		set:  func(o api.Object) { set(o.(T)) },
		gone: func(o api.Object) { gone(o.(T)) },
	}
}

// follow watches a kind, beginning with a list each time the watch falls behind.
func (s *Scheduler) follow(ctx context.Context, f *followed) error {
	for {
		w, err := s.Client.Watch(ctx, f.on, "", client.Selector{}, -1)
		if err != nil {
			return err
		}
		s.mail.put(func() { f.epoch++ })
		err = s.drain(ctx, f, w)
		w.Close()
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return err
		}
	}
}

func (s *Scheduler) drain(ctx context.Context, f *followed, w client.Watch) error {
	for {
		events, err := w.Next(ctx)
		if err != nil {
			return err
		}
		// The slice is the watch's own.
		batch := append([]client.Event(nil), events...)
		s.mail.put(func() {
			for i := range batch {
				s.apply(f, &batch[i])
			}
		})
	}
}

// apply runs one event on the loop.
func (s *Scheduler) apply(f *followed, ev *client.Event) {
	if ev.Synced() {
		s.synced(f)
		return
	}
	uid := ev.Object.GetUID()
	if ev.Type == watch.Deleted {
		if _, ok := f.seen[uid]; ok {
			delete(f.seen, uid)
			f.gone(ev.Object)
		}
		return
	}
	o := ev.Object
	if pod, ok := o.(*corev1.Pod); ok {
		o = lean(pod)
	}
	f.seen[uid] = seen{o, f.epoch}
	f.set(o)
}

// synced ends a list: what an earlier one had and this one has not is gone.
func (s *Scheduler) synced(f *followed) {
	for uid, o := range f.seen {
		if o.epoch != f.epoch {
			delete(f.seen, uid)
			f.gone(o.object)
		}
	}
	if !f.whole {
		f.whole = true
		s.unsynced--
	}
}

func (s *Scheduler) setNamespace(name string, l map[string]string) {
	if s.core.Snapshot.SetNamespace(name, l) {
		s.wake(plugins.Change{Kind: plugins.Relabelled})
	}
}

// labelsOf is never nil, so that a namespace without labels is one.
func labelsOf(o api.Object) map[string]string {
	if l := o.GetLabels(); l != nil {
		return l
	}
	return map[string]string{}
}

func (s *Scheduler) setNode(n *corev1.Node) {
	parts := s.core.Snapshot.SetNode(n)
	if parts != 0 {
		s.wake(plugins.Change{Kind: plugins.NodeChanged, Node: s.core.Snapshot.Node(n.Name), Parts: parts})
		// Pods that found no node at all were kept back by no plugin.
		s.queue.wakeIf(s.Now(), func(e *entry) bool { return e.by == 0 })
	}
}

func (s *Scheduler) dropNode(n *corev1.Node) {
	// A domain without nodes no longer holds down the minimum of a spread.
	s.core.Snapshot.RemoveNode(n.Name)
	s.queue.wakeIf(s.Now(), func(e *entry) bool { return e.by.Has(plugins.PodTopologySpread) })
}

func (s *Scheduler) volumesChanged() {
	s.checkAwaiting()
	s.wake(plugins.Change{Kind: plugins.VolumeChanged})
}

func (s *Scheduler) setVolumeLimits(o *storagev1.CSINode) {
	limits := map[string]int32{}
	for _, d := range o.Spec.Drivers {
		if d.Allocatable != nil && d.Allocatable.Count != nil {
			limits[d.Name] = *d.Allocatable.Count
		}
	}
	if maps.Equal(s.core.Snapshot.Volumes.Limits[o.Name], limits) {
		return
	}
	s.core.Snapshot.Volumes.Limits[o.Name] = limits
	s.volumesChanged()
}

func setIn[T any](s *Scheduler, m map[string]T, key string, o T) {
	m[key] = o
	s.volumesChanged()
}

func claimKey(o *corev1.PersistentVolumeClaim) string { return o.Namespace + "/" + o.Name }

func asLabelSelector(set map[string]string) *metav1.LabelSelector {
	if len(set) == 0 {
		return nil
	}
	return &metav1.LabelSelector{MatchLabels: set}
}
