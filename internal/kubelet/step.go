package kubelet

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// input is all that a step decides from.
type input struct {
	pod  *corev1.Pod
	now  time.Time
	seen *observed
	// gone: the pod's object does not exist any more. ended: the pod must not run, for the reason of its own (deadline).
	gone    bool
	ended   bool
	waits   map[string]*restartWait
	probes  map[string]probeState // by container name
	hashes  map[string]string     // of the containers as the pod wants them now
	pulling map[string]*pullState
}

// probeState is what the probes of the container that runs have found.
type probeState struct {
	started bool   // no startup probe, or it succeeded
	kill    string // why the container must be restarted; empty: it need not
	id      string // of the container that this is about
}

// restartWait is the back-off of a container.
type restartWait struct {
	delay time.Duration // that the next restart has to wait after the last end
	since time.Time     // when delay was last raised
}

const (
	firstRestartDelay = 10 * time.Second
	maxRestartDelay   = 5 * time.Minute
	// restartReset: a container that ran this long begins anew.
	restartReset = 10 * time.Minute
)

// plan is what a step wants: things to do now, when to look again, and what
// containers wait for (shown in the status).
type plan struct {
	do      []action
	next    time.Time // zero: nothing depends on time alone
	waiting map[string]corev1.ContainerStateWaiting
	// done: everything of the pod is over; what is left can be cleaned up.
	done bool
}

// action is one thing to do. The kinds of one plan are carried out in order;
// kills of one plan happen at the same time.
type action struct {
	kind      actionKind
	container *corev1.Container // to start
	init      bool
	restarts  int32
	kill      *container // to kill, or the sandbox when nil
	reason    string     // why, for the event
	message   string
	grace     *int64
	sandboxID string
}

type actionKind string

const (
	createSandbox  actionKind = "create sandbox"
	stopSandbox    actionKind = "stop sandbox"
	startContainer actionKind = "start container"
	killContainer  actionKind = "kill container"
)

func (p *plan) at(t time.Time) {
	if p.next.IsZero() || t.Before(p.next) {
		p.next = t
	}
}

func (p *plan) wait(name, reason, message string) {
	p.waiting[name] = corev1.ContainerStateWaiting{Reason: reason, Message: message}
}

// step decides what a pod needs next. It is pure: no clock, no I/O.
func step(in input) plan {
	p := plan{waiting: map[string]corev1.ContainerStateWaiting{}}
	if in.gone || in.ended || in.pod.DeletionTimestamp != nil || finished(in.pod) {
		stepDown(&p, in)
		return p
	}
	if d := in.pod.Spec.ActiveDeadlineSeconds; d != nil && in.pod.Status.StartTime != nil {
		p.at(in.pod.Status.StartTime.Add(time.Duration(*d) * time.Second))
	}
	if !in.seen.ready() {
		stepSandbox(&p, in)
		return p
	}
	if stepInit(&p, in) {
		for i := range in.pod.Spec.Containers {
			stepContainer(&p, in, &in.pod.Spec.Containers[i], false)
		}
	}
	for i := range in.pod.Spec.EphemeralContainers {
		c := (*corev1.Container)(&in.pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		if in.seen.latest(c.Name) == nil {
			p.do = append(p.do, action{kind: startContainer, container: c})
		}
	}
	return p
}

// stepDown ends what runs, then the sandbox.
func stepDown(p *plan, in input) {
	running := false
	for _, cs := range in.seen.containers {
		for _, c := range cs {
			if c.running() {
				running = true
				p.do = append(p.do, action{kind: killContainer, kill: c, reason: "Killing", message: "Stopping container " + c.name})
			}
		}
	}
	if running {
		return
	}
	if in.seen.ready() {
		p.do = append(p.do, action{kind: stopSandbox, sandboxID: in.seen.sandbox.Id})
		return
	}
	p.done = true
}

// stepSandbox replaces a sandbox that is not there, unless the pod has come to its end.
func stepSandbox(p *plan, in input) {
	if in.seen.sandbox != nil && !wantsMore(in) {
		p.done = true
		return
	}
	for _, cs := range in.seen.containers {
		for _, c := range cs {
			if c.running() {
				p.do = append(p.do, action{kind: killContainer, kill: c, reason: "Killing", message: "Stopping container " + c.name + ": its sandbox is gone"})
			}
		}
	}
	attempt := int32(0)
	if in.seen.sandbox != nil {
		attempt = int32(in.seen.sandbox.Metadata.Attempt) + 1
		p.do = append(p.do, action{kind: stopSandbox, sandboxID: in.seen.sandbox.Id})
	}
	p.do = append(p.do, action{kind: createSandbox, restarts: attempt})
}

// wantsMore tells whether any container is still to run.
func wantsMore(in input) bool {
	if failedInit(in) != nil {
		return false
	}
	for i := range in.pod.Spec.Containers {
		c := in.seen.latest(in.pod.Spec.Containers[i].Name)
		if c == nil || !c.exited() || restarts(in.pod, &in.pod.Spec.Containers[i], c, false) {
			return true
		}
	}
	return false
}

// failedInit is the init container whose failure ended the pod.
func failedInit(in input) *container {
	if in.pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
		return nil
	}
	for i := range in.pod.Spec.InitContainers {
		ic := &in.pod.Spec.InitContainers[i]
		if c := in.seen.latest(ic.Name); c != nil && c.exited() && c.exitCode != 0 && !sidecar(ic) {
			return c
		}
	}
	return nil
}

// restarts tells whether the pod wants the container again after it ended.
func restarts(pod *corev1.Pod, c *corev1.Container, last *container, init bool) bool {
	policy := pod.Spec.RestartPolicy
	if c.RestartPolicy != nil {
		policy = corev1.RestartPolicy(*c.RestartPolicy)
	}
	if init && !sidecar(c) && policy == corev1.RestartPolicyAlways {
		policy = corev1.RestartPolicyOnFailure
	}
	switch policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return last.exitCode != 0
	}
	return true
}

func sidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// stepInit brings the init containers forward, one after the other, and returns true when
// the containers proper may run.
func stepInit(p *plan, in input) bool {
	// Once a container proper ran, the init containers are over in this sandbox, but sidecars are kept up.
	for i := range in.pod.Spec.Containers {
		if c := in.seen.latest(in.pod.Spec.Containers[i].Name); c != nil && c.sandbox == in.seen.sandbox.Id {
			for j := range in.pod.Spec.InitContainers {
				if sidecar(&in.pod.Spec.InitContainers[j]) && wantsMore(in) {
					stepContainer(p, in, &in.pod.Spec.InitContainers[j], true)
				}
			}
			return true
		}
	}
	for i := range in.pod.Spec.InitContainers {
		ic := &in.pod.Spec.InitContainers[i]
		c := in.seen.latest(ic.Name)
		here := c != nil && c.sandbox == in.seen.sandbox.Id
		switch {
		case here && c.running() && sidecar(ic):
			stepContainer(p, in, ic, true)
			if !in.probes[ic.Name].started {
				return false
			}
		case here && c.exited() && c.exitCode == 0 && !sidecar(ic):
		case here && c.exited() && !restarts(in.pod, ic, c, true):
			return false // failedInit ends the pod
		case here && c.running():
			return false
		default:
			stepContainer(p, in, ic, true)
			return false
		}
	}
	return true
}

// stepContainer starts, restarts or kills one container.
func stepContainer(p *plan, in input, c *corev1.Container, init bool) {
	last := in.seen.latest(c.Name)
	switch {
	case last == nil:
		start(p, in, c, init, 0)
	case last.running():
		if want := in.hashes[c.Name]; want != "" && last.hash != want {
			p.do = append(p.do, action{kind: killContainer, kill: last, reason: "Killing", message: fmt.Sprintf("Container %s definition changed, will be restarted", c.Name)})
			return
		}
		if ps := in.probes[c.Name]; ps.kill != "" && ps.id == last.id {
			p.do = append(p.do, action{kind: killContainer, kill: last, reason: "Killing", message: ps.kill, grace: probeGrace(c)})
		}
	case last.exited():
		if last.sandbox == in.seen.sandbox.Id && !restarts(in.pod, c, last, init) {
			return
		}
		restart(p, in, c, init, last)
	default:
		// Created but never started: it is of no use any more.
		if in.now.Sub(last.created) > 2*time.Minute {
			restart(p, in, c, init, last)
			return
		}
		start(p, in, c, init, last.restarts+1)
	}
}

func probeGrace(c *corev1.Container) *int64 {
	for _, pr := range []*corev1.Probe{c.LivenessProbe, c.StartupProbe} {
		if pr != nil && pr.TerminationGracePeriodSeconds != nil {
			return pr.TerminationGracePeriodSeconds
		}
	}
	return nil
}

// restart starts a container again, after its back-off.
func restart(p *plan, in input, c *corev1.Container, init bool, last *container) {
	w := in.waits[c.Name]
	if w == nil {
		w = &restartWait{}
		in.waits[c.Name] = w
	}
	if !last.started.IsZero() && last.finished.Sub(last.started) >= restartReset {
		w.delay = 0
	}
	// A changed definition or image is a new beginning: people wait for it.
	if want := in.hashes[c.Name]; want != "" && last.hash != want {
		w.delay = 0
	}
	if until := last.finished.Add(w.delay); w.delay > 0 && in.now.Before(until) {
		p.wait(c.Name, "CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", w.delay, c.Name, in.pod.Name, in.pod.Namespace, in.pod.UID))
		p.at(until)
		return
	}
	start(p, in, c, init, last.restarts+1)
}

// raise is called when a container is started again.
func (w *restartWait) raise(now time.Time) {
	w.delay = min(max(2*w.delay, firstRestartDelay), maxRestartDelay)
	w.since = now
}

// start starts a container once its image is there.
func start(p *plan, in input, c *corev1.Container, init bool, restarts int32) {
	if pull := in.pulling[c.Name]; pull != nil {
		if pull.pending || in.now.Before(pull.retry) {
			if pull.reason != "" {
				p.wait(c.Name, pull.reason, pull.message)
			}
			if !pull.pending {
				p.at(pull.retry)
			}
			return
		}
	}
	p.do = append(p.do, action{kind: startContainer, container: c, init: init, restarts: restarts})
}
