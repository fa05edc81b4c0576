package scheduler

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/skiff-k8s/skiff/internal/scheduler/plugins"
	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

// setPod takes in what a watch says of a pod.
func (s *Scheduler) setPod(o *corev1.Pod) {
	t := s.pods[o.UID]
	switch {
	case o.Status.Phase == corev1.PodSucceeded || o.Status.Phase == corev1.PodFailed:
		s.forget(t)
	case o.Spec.NodeName != "":
		s.setAssigned(t, o)
	case o.Spec.SchedulerName != s.Name && o.Spec.SchedulerName != "":
		s.forget(t)
	case o.DeletionTimestamp != nil && (t == nil || !t.assumed):
		s.forget(t)
	default:
		s.setPending(t, o)
	}
}

func (s *Scheduler) dropPod(o *corev1.Pod) { s.forget(s.pods[o.UID]) }

// forget drops a pod that needs no node, or no longer has one.
func (s *Scheduler) forget(t *tracked) {
	if t == nil {
		return
	}
	snap := s.core.Snapshot
	delete(s.pods, t.pod.Obj.UID)
	delete(s.preempting, t.pod.Obj.UID)
	delete(s.awaiting, t.pod.Obj.UID)
	s.queue.remove(&t.entry)
	held := t.pod.NodeName != "" || t.pod.NominatedNode() != ""
	snap.Remove(t.pod)
	snap.Unnominate(t.pod)
	if held {
		s.wake(plugins.Change{Kind: plugins.PodGone, Pod: t.pod})
	}
	snap.Release(t.pod)
}

func (s *Scheduler) setAssigned(t *tracked, o *corev1.Pod) {
	snap := s.core.Snapshot
	if t == nil {
		t = &tracked{entry: entry{pod: snap.Compile(o)}}
		s.pods[o.UID] = t
		snap.Assign(t.pod, o.Spec.NodeName)
		s.wake(plugins.Change{Kind: plugins.PodThere, Pod: t.pod})
		return
	}
	s.queue.remove(&t.entry)
	arrived := t.assumed || t.pod.NodeName == ""
	t.assumed = false
	delete(s.awaiting, o.UID)
	next := snap.Compile(o)
	if t.pod.NodeName == o.Spec.NodeName && t.pod.Same(next) {
		snap.Release(next)
		t.pod.Obj = o
	} else {
		s.replaceAssigned(t, next)
	}
	if arrived {
		s.wake(plugins.Change{Kind: plugins.PodThere, Pod: t.pod})
	}
}

// replaceAssigned puts a pod's new state in the place of the old one, and tells what that freed.
func (s *Scheduler) replaceAssigned(t *tracked, next *snapshot.Pod) {
	snap, old := s.core.Snapshot, t.pod
	moved := old.NodeName != "" && old.NodeName != next.Obj.Spec.NodeName
	snap.Remove(old)
	t.pod = next
	snap.Assign(next, next.Obj.Spec.NodeName)
	switch {
	case moved:
		s.wake(plugins.Change{Kind: plugins.PodGone, Pod: old})
	case old.Labels != next.Labels || old.Terminating != next.Terminating:
		s.wake(plugins.Change{Kind: plugins.PodRelabelled, Pod: next})
	}
	if next.Requests.CPU < old.Requests.CPU || next.Requests.Memory < old.Requests.Memory || next.Requests.Ephemeral < old.Requests.Ephemeral {
		s.wake(plugins.Change{Kind: plugins.PodShrunk, Pod: next})
	}
	snap.Release(old)
}

func (s *Scheduler) setPending(t *tracked, o *corev1.Pod) {
	snap := s.core.Snapshot
	switch {
	case t == nil:
		t = &tracked{entry: entry{pod: snap.Compile(o)}}
		s.pods[o.UID] = t
		// After a restart, room may still be reserved for the pod.
		snap.Nominate(t.pod, o.Status.NominatedNodeName)
		s.queue.add(&t.entry)
	case t.assumed:
		// The binding under way decides.
		t.pod.Obj = o
	case sameSpec(t.pod.Obj, o):
		t.pod.Obj = o
	default:
		s.queue.remove(&t.entry)
		node := t.pod.NominatedNode()
		snap.Release(t.pod)
		t.pod = snap.Compile(o)
		snap.Nominate(t.pod, node)
		s.queue.add(&t.entry)
	}
	if t.place == inGated {
		s.reportGated(t)
	}
}

// sameSpec tells whether a pending pod is as hard to schedule as before.
func sameSpec(a, b *corev1.Pod) bool {
	if !maps.Equal(a.Labels, b.Labels) {
		return false
	}
	if a.Generation != 0 && a.Generation == b.Generation {
		return true
	}
	return equality.Semantic.DeepEqual(&a.Spec, &b.Spec)
}
