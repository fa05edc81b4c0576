package kubelet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/client"
)

// report writes the pod's status where it changed.
func (w *worker) report(ctx context.Context, pod *corev1.Pod, p *plan) error {
	next := w.compute(pod, p)
	if equality.Semantic.DeepEqual(&pod.Status, &next) || w.status != nil && equality.Semantic.DeepEqual(w.status, &next) && pod.ResourceVersion == w.statusOf {
		return nil
	}
	for range 5 {
		cur, err := client.Get[*corev1.Pod](ctx, w.k.Client, pod.Namespace, pod.Name)
		if apierrors.IsNotFound(err) || err == nil && cur.UID != pod.UID {
			return nil // the watch will tell
		}
		if err != nil {
			return err
		}
		out := cur.DeepCopy()
		out.Status = mergeStatus(cur.Status, next)
		if equality.Semantic.DeepEqual(&cur.Status, &out.Status) {
			return nil
		}
		got, err := client.UpdateStatus(ctx, w.k.Client, out)
		if apierrors.IsConflict(err) {
			continue
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("write status: %w", err)
		}
		w.mu.Lock()
		if !w.isGone && w.pod.UID == got.UID {
			w.pod = got
		}
		w.mu.Unlock()
		w.status, w.statusOf = next.DeepCopy(), got.ResourceVersion
		return nil
	}
	return nil
}

// mergeStatus keeps the conditions that others own.
func mergeStatus(cur, next corev1.PodStatus) corev1.PodStatus {
	ours := map[corev1.PodConditionType]bool{corev1.PodReadyToStartContainers: true, corev1.PodInitialized: true, corev1.PodReady: true, corev1.ContainersReady: true, corev1.PodScheduled: true}
	out := next
	out.Conditions = nil
	for _, c := range cur.Conditions {
		if !ours[c.Type] {
			out.Conditions = append(out.Conditions, c)
		}
	}
	out.Conditions = append(slices.Clone(next.Conditions), out.Conditions...)
	if out.QOSClass == "" {
		out.QOSClass = cur.QOSClass
	}
	out.NominatedNodeName, out.ResourceClaimStatuses = cur.NominatedNodeName, cur.ResourceClaimStatuses
	return out
}

// compute is the pod's status from what the runtime has, what the probes found
// and what the containers wait for.
func (w *worker) compute(pod *corev1.Pod, p *plan) corev1.PodStatus {
	now := metav1.NewTime(time.Now().UTC().Truncate(time.Second))
	s := corev1.PodStatus{QOSClass: pod.Status.QOSClass, StartTime: pod.Status.StartTime, HostIP: w.k.NodeIP, HostIPs: []corev1.HostIP{{IP: w.k.NodeIP}},
		ObservedGeneration: pod.Generation, Reason: pod.Status.Reason, Message: pod.Status.Message, NominatedNodeName: pod.Status.NominatedNodeName, Resize: pod.Status.Resize}
	if s.StartTime == nil {
		s.StartTime = &now
	}
	ips := w.seen.ips()
	if pod.Spec.HostNetwork && w.seen.sandbox != nil {
		ips = []string{w.k.NodeIP}
	}
	if len(ips) == 0 {
		for _, ip := range pod.Status.PodIPs {
			ips = append(ips, ip.IP)
		}
	}
	for i, ip := range ips {
		if i == 0 {
			s.PodIP = ip
		}
		s.PodIPs = append(s.PodIPs, corev1.PodIP{IP: ip})
	}
	initialized := w.initialized(pod)
	for i := range pod.Spec.InitContainers {
		s.InitContainerStatuses = append(s.InitContainerStatuses, w.containerStatus(pod, &pod.Spec.InitContainers[i], pod.Status.InitContainerStatuses, p, true, initialized))
	}
	for i := range pod.Spec.Containers {
		s.ContainerStatuses = append(s.ContainerStatuses, w.containerStatus(pod, &pod.Spec.Containers[i], pod.Status.ContainerStatuses, p, false, initialized))
	}
	for i := range pod.Spec.EphemeralContainers {
		c := (*corev1.Container)(&pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		s.EphemeralContainerStatuses = append(s.EphemeralContainerStatuses, w.containerStatus(pod, c, pod.Status.EphemeralContainerStatuses, p, false, initialized))
	}
	s.Phase = phase(pod, &s, initialized)
	if w.ended != nil {
		s.Phase, s.Reason, s.Message = corev1.PodFailed, w.ended.reason, w.ended.message
	}
	if finished(pod) {
		s.Phase = pod.Status.Phase
	}
	s.Conditions = w.conditions(pod, &s, initialized, now)
	return s
}

func (w *worker) initialized(pod *corev1.Pod) bool {
	for i := range pod.Spec.InitContainers {
		ic := &pod.Spec.InitContainers[i]
		c := w.seen.latest(ic.Name)
		switch {
		case c == nil:
			return w.mainRan(pod)
		case sidecar(ic):
			if !w.probeStates()[ic.Name].started && !w.mainRan(pod) {
				return false
			}
		case !c.exited() || c.exitCode != 0:
			return false
		}
	}
	return true
}

func (w *worker) mainRan(pod *corev1.Pod) bool {
	for i := range pod.Spec.Containers {
		if w.seen.latest(pod.Spec.Containers[i].Name) != nil {
			return true
		}
	}
	return false
}

func (w *worker) containerStatus(pod *corev1.Pod, c *corev1.Container, before []corev1.ContainerStatus, p *plan, init, initialized bool) corev1.ContainerStatus {
	st := corev1.ContainerStatus{Name: c.Name, Image: c.Image}
	for i := range before {
		if before[i].Name == c.Name {
			st.LastTerminationState, st.RestartCount = before[i].LastTerminationState, before[i].RestartCount
		}
	}
	last := w.seen.latest(c.Name)
	started := false
	switch {
	case last == nil || !last.running() && !last.exited():
		st.State.Waiting = w.waitingState(pod, c, p, init, initialized)
		if last != nil {
			st.RestartCount = last.restarts
		}
		for i := range before {
			// What ran before and was removed since stays in the record.
			if before[i].Name == c.Name && before[i].State.Terminated != nil && last == nil {
				if finished(pod) || pod.DeletionTimestamp != nil {
					return before[i]
				}
				st.LastTerminationState = before[i].State
			}
		}
	case last.running():
		st.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(last.started.Truncate(time.Second))}
		w.describe(&st, last)
		ps := w.probeStates()[c.Name]
		started = ps.started
		st.Ready = w.isReady(c, last) && (!init || sidecar(c)) && pod.DeletionTimestamp == nil || w.isReady(c, last) && pod.DeletionTimestamp != nil
	default:
		w.describe(&st, last)
		term := terminated(last)
		wait, waiting := p.waiting[c.Name]
		if waiting && pod.DeletionTimestamp == nil {
			st.State.Waiting = &wait
			st.LastTerminationState = corev1.ContainerState{Terminated: term}
		} else {
			st.State.Terminated = term
		}
		// An init container that did its work counts as ready.
		st.Ready = init && last.exitCode == 0 && !sidecar(c)
	}
	if older := w.seen.containers[c.Name]; len(older) > 1 && older[1].exited() && last.running() {
		st.LastTerminationState = corev1.ContainerState{Terminated: terminated(older[1])}
	}
	st.Started = &started
	if !c.Resources.Requests.Cpu().IsZero() || !c.Resources.Requests.Memory().IsZero() {
		st.AllocatedResources = c.Resources.Requests
	}
	if st.State.Running != nil {
		st.Resources = c.Resources.DeepCopy()
	}
	for _, m := range c.VolumeMounts {
		vm := corev1.VolumeMountStatus{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly}
		if m.ReadOnly {
			mode := corev1.RecursiveReadOnlyDisabled
			vm.RecursiveReadOnly = &mode
		}
		st.VolumeMounts = append(st.VolumeMounts, vm)
	}
	return st
}

func (w *worker) waitingState(pod *corev1.Pod, c *corev1.Container, p *plan, init, initialized bool) *corev1.ContainerStateWaiting {
	if wait, ok := p.waiting[c.Name]; ok {
		return &wait
	}
	if pull := w.pulling[c.Name]; pull != nil && pull.reason != "" && pull.reason != "pulled" {
		return &corev1.ContainerStateWaiting{Reason: pull.reason, Message: pull.message}
	}
	if len(pod.Spec.InitContainers) > 0 && (init || !initialized) {
		return &corev1.ContainerStateWaiting{Reason: "PodInitializing"}
	}
	return &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
}

// describe fills in what is known of a run.
func (w *worker) describe(st *corev1.ContainerStatus, c *container) {
	st.ContainerID = "containerd://" + c.id
	st.RestartCount = c.restarts
	st.ImageID = c.imageRef
	if c.image != "" {
		st.Image = c.image
	}
	if u := c.user; u != nil && u.Linux != nil {
		st.User = &corev1.ContainerUser{Linux: &corev1.LinuxContainerUser{UID: u.Linux.Uid, GID: u.Linux.Gid, SupplementalGroups: u.Linux.SupplementalGroups}}
	}
}

func terminated(c *container) *corev1.ContainerStateTerminated {
	t := &corev1.ContainerStateTerminated{
		ExitCode: c.exitCode, Reason: c.reason, Message: c.message, ContainerID: "containerd://" + c.id,
		StartedAt: metav1.NewTime(c.started.Truncate(time.Second)), FinishedAt: metav1.NewTime(c.finished.Truncate(time.Second)),
	}
	if t.Reason == "" {
		t.Reason = "Error"
		if c.exitCode == 0 {
			t.Reason = "Completed"
		}
	}
	return t
}

func phase(pod *corev1.Pod, s *corev1.PodStatus, initialized bool) corev1.PodPhase {
	if pod.Spec.RestartPolicy == corev1.RestartPolicyNever {
		for i, st := range s.InitContainerStatuses {
			if t := st.State.Terminated; t != nil && t.ExitCode != 0 && !sidecar(&pod.Spec.InitContainers[i]) {
				return corev1.PodFailed
			}
		}
	}
	if !initialized {
		return corev1.PodPending
	}
	var running, waiting, stopped, failed, again int
	for i, st := range s.ContainerStatuses {
		switch {
		case st.State.Running != nil:
			running++
		case st.State.Terminated != nil:
			stopped++
			if st.State.Terminated.ExitCode != 0 {
				failed++
			}
			if restarts(pod, &pod.Spec.Containers[i], &container{exitCode: st.State.Terminated.ExitCode}, false) {
				again++
			}
		case st.LastTerminationState.Terminated != nil:
			again++
		default:
			waiting++
		}
	}
	switch {
	case waiting > 0 && running+again+stopped == 0:
		return corev1.PodPending
	case waiting > 0 && pod.Status.Phase != corev1.PodRunning:
		return corev1.PodPending
	case running > 0 || again > 0 && pod.DeletionTimestamp == nil || waiting > 0:
		return corev1.PodRunning
	case stopped > 0 && failed == 0:
		return corev1.PodSucceeded
	case stopped > 0:
		return corev1.PodFailed
	}
	return corev1.PodPending
}

func (w *worker) conditions(pod *corev1.Pod, s *corev1.PodStatus, initialized bool, now metav1.Time) []corev1.PodCondition {
	over := s.Phase == corev1.PodSucceeded || s.Phase == corev1.PodFailed
	truth := func(b bool) corev1.ConditionStatus {
		if b {
			return corev1.ConditionTrue
		}
		return corev1.ConditionFalse
	}
	var unready, uninitialized []string
	for _, st := range s.ContainerStatuses {
		if !st.Ready {
			unready = append(unready, st.Name)
		}
	}
	for i, st := range s.InitContainerStatuses {
		ic := &pod.Spec.InitContainers[i]
		if sidecar(ic) && !st.Ready {
			unready = append(unready, st.Name)
		}
		if st.State.Terminated == nil && !(sidecar(ic) && st.Started != nil && *st.Started) || st.State.Terminated != nil && st.State.Terminated.ExitCode != 0 {
			uninitialized = append(uninitialized, st.Name)
		}
	}
	out := []corev1.PodCondition{
		{Type: corev1.PodReadyToStartContainers, Status: truth(w.seen.ready())},
		{Type: corev1.PodInitialized, Status: truth(initialized || s.Phase == corev1.PodSucceeded)},
	}
	if !initialized && s.Phase != corev1.PodSucceeded {
		out[1].Reason, out[1].Message = "ContainersNotInitialized", fmt.Sprintf("containers with incomplete status: [%s]", strings.Join(uninitialized, " "))
	}
	if s.Phase == corev1.PodSucceeded && len(pod.Spec.InitContainers) > 0 {
		out[1].Reason = "PodCompleted"
	}
	ready := corev1.PodCondition{Type: corev1.ContainersReady, Status: truth(!over && len(unready) == 0)}
	switch {
	case s.Phase == corev1.PodSucceeded:
		ready.Reason = "PodCompleted"
	case s.Phase == corev1.PodFailed:
		ready.Reason = "PodFailed"
	case len(unready) > 0:
		ready.Reason, ready.Message = "ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", strings.Join(unready, " "))
	}
	podReady := ready
	podReady.Type = corev1.PodReady
	if ready.Status == corev1.ConditionTrue {
		var missing []string
		for _, g := range pod.Spec.ReadinessGates {
			i := slices.IndexFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == g.ConditionType })
			switch {
			case i < 0:
				missing = append(missing, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", g.ConditionType))
			case pod.Status.Conditions[i].Status != corev1.ConditionTrue:
				missing = append(missing, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", g.ConditionType, pod.Status.Conditions[i].Status))
			}
		}
		if len(missing) > 0 {
			podReady.Status, podReady.Reason, podReady.Message = corev1.ConditionFalse, "ReadinessGatesNotReady", strings.Join(missing, ", ")
		}
	}
	out = append(out, podReady, ready, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue})
	for i := range out {
		out[i].LastTransitionTime, out[i].ObservedGeneration = now, pod.Generation
		for _, old := range pod.Status.Conditions {
			if old.Type == out[i].Type && old.Status == out[i].Status {
				out[i].LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	return out
}
