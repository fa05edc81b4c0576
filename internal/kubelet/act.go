package kubelet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// act carries out a plan. again says that the outcome should be looked at at once.
func (w *worker) act(ctx context.Context, pod *corev1.Pod, p *plan) (again bool, err error) {
	var kills []action
	for _, a := range p.do {
		if a.kind == killContainer {
			kills = append(kills, a)
		}
	}
	if len(kills) > 0 {
		w.kill(ctx, pod, kills)
		again = true
	}
	for _, a := range p.do {
		switch a.kind {
		case stopSandbox:
			if _, err := w.k.Runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: a.sandboxID}); err != nil && !notFound(err) {
				return false, fmt.Errorf("stop sandbox: %w", err)
			}
			again = true
		case createSandbox:
			if err := w.createSandbox(ctx, pod, a.restarts); err != nil {
				return false, err
			}
			again = true
		case startContainer:
			started, err := w.startContainer(ctx, pod, a)
			if err != nil {
				return false, err
			}
			again = again || started
		}
	}
	return again, nil
}

func (w *worker) createSandbox(ctx context.Context, pod *corev1.Pod, attempt int32) error {
	if attempt > 0 {
		w.k.event(pod, "", corev1.EventTypeNormal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
	}
	if err := w.mount(ctx, pod); err != nil {
		return err
	}
	if err := w.k.cgroups.make(pod); err != nil {
		return fmt.Errorf("make the pod's cgroup: %w", err)
	}
	config := w.k.sandboxConfig(pod, uint32(attempt))
	if err := os.MkdirAll(config.LogDirectory, 0o755); err != nil {
		return err
	}
	handler := ""
	if _, err := w.k.Runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: config, RuntimeHandler: handler}); err != nil {
		w.k.event(pod, "", corev1.EventTypeWarning, "FailedCreatePodSandBox", "Failed to create pod sandbox: %v", err)
		return fmt.Errorf("create sandbox: %w", err)
	}
	for _, id := range w.seen.older {
		w.k.Runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
	}
	return nil
}

// startContainer pulls the image, creates and starts a container. It returns
// false without an error when the container has to wait (for an image, say).
func (w *worker) startContainer(ctx context.Context, pod *corev1.Pod, a action) (bool, error) {
	c := a.container
	if !w.mounted {
		if err := w.mount(ctx, pod); err != nil {
			return false, err
		}
	}
	image, ok := w.ensureImage(ctx, pod, c)
	if !ok {
		return false, nil
	}
	fail := func(reason string, err error) (bool, error) {
		w.createErr[c.Name] = corev1.ContainerStateWaiting{Reason: reason, Message: err.Error()}
		w.k.event(pod, c.Name, corev1.EventTypeWarning, "Failed", "Error: %v", err)
		return false, fmt.Errorf("container %s: %w", c.Name, err)
	}
	config, err := w.containerConfig(ctx, pod, c, image, a.restarts)
	if err != nil {
		return fail("CreateContainerConfigError", err)
	}
	if a.restarts > 0 {
		wait := w.waits[c.Name]
		if wait == nil {
			wait = &restartWait{}
			w.waits[c.Name] = wait
		}
		wait.raise(time.Now())
	}
	resp, err := w.k.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{
		PodSandboxId: w.seen.sandbox.Id, Config: config, SandboxConfig: w.k.sandboxConfig(pod, w.seen.sandbox.Metadata.Attempt)})
	if err != nil {
		return fail("CreateContainerError", err)
	}
	w.k.event(pod, c.Name, corev1.EventTypeNormal, "Created", "Container created")
	if _, err := w.k.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: resp.ContainerId}); err != nil {
		return fail("RunContainerError", err)
	}
	w.k.event(pod, c.Name, corev1.EventTypeNormal, "Started", "Container started")
	delete(w.createErr, c.Name)
	delete(w.pulling, c.Name)
	w.sweepOld(ctx, c.Name)
	if c.Lifecycle != nil && c.Lifecycle.PostStart != nil {
		if err := w.hook(ctx, pod, c, resp.ContainerId, c.Lifecycle.PostStart); err != nil {
			w.k.event(pod, c.Name, corev1.EventTypeWarning, "FailedPostStartHook", "PostStartHook failed")
			started := &container{id: resp.ContainerId, name: c.Name}
			w.kill(ctx, pod, []action{{kill: started, message: "FailedPostStartHook"}})
			w.createErr[c.Name] = corev1.ContainerStateWaiting{Reason: "PostStartHookError", Message: err.Error()}
		}
	}
	return true, nil
}

// sweepOld removes the runs of a container before the last one, whose log can still be read.
func (w *worker) sweepOld(ctx context.Context, name string) {
	for i, c := range w.seen.containers[name] {
		if i == 0 {
			continue
		}
		if _, err := w.k.Runtime.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: c.id}); err == nil && c.logPath != "" {
			os.Remove(c.logPath)
		}
	}
}

// kill ends containers at the same time: their preStop hooks first, then the
// stop signal, then, when the grace period is over, for good.
func (w *worker) kill(ctx context.Context, pod *corev1.Pod, kills []action) {
	w.mu.Lock()
	hurry := w.killNow
	if pod.DeletionTimestamp != nil && graceOf(pod) == 0 {
		w.hurry()
	}
	w.mu.Unlock()
	var wg sync.WaitGroup
	for _, a := range kills {
		wg.Go(func() {
			grace := w.grace(pod)
			if a.grace != nil && pod.DeletionTimestamp == nil {
				grace = time.Duration(*a.grace) * time.Second
			}
			if a.message != "" {
				w.k.event(pod, a.kill.name, corev1.EventTypeNormal, "Killing", "%s", a.message)
			}
			w.killOne(ctx, pod, a.kill, grace, hurry)
		})
	}
	wg.Wait()
}

func (w *worker) killOne(ctx context.Context, pod *corev1.Pod, c *container, grace time.Duration, hurry <-chan struct{}) {
	began := time.Now()
	spec := findContainer(pod, c.name)
	if spec != nil && spec.Lifecycle != nil && spec.Lifecycle.PreStop != nil && grace > 0 {
		short, cancel := context.WithTimeout(ctx, grace)
		done := make(chan error, 1)
		go func() { done <- w.hook(short, pod, spec, c.id, spec.Lifecycle.PreStop) }()
		select {
		case err := <-done:
			if err != nil && short.Err() == nil {
				w.k.event(pod, c.name, corev1.EventTypeWarning, "FailedPreStopHook", "PreStopHook failed")
			}
		case <-hurry:
		case <-short.Done():
		}
		cancel()
	}
	// The hook's time counts; two seconds are left in any case.
	left := max(grace-time.Since(began), 2*time.Second)
	if grace == 0 {
		left = 0
	}
	short, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, err := w.k.Runtime.StopContainer(short, &runtimeapi.StopContainerRequest{ContainerId: c.id, Timeout: int64(left / time.Second)}); err != nil && !notFound(err) && short.Err() == nil {
			w.k.Log.Error("stop container", "pod", w.namespace+"/"+w.name, "container", c.name, "err", err)
		}
	}()
	select {
	case <-ended:
	case <-hurry:
		// A shorter period was given while this one ran.
		pod, _ := w.state()
		now := int64(0)
		if g := graceOf(pod); g < 1<<40 {
			now = g
		}
		w.k.Runtime.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: c.id, Timeout: now})
		cancel()
		<-ended
	}
}

// grace is how long the pod's containers may take to end.
func (w *worker) grace(pod *corev1.Pod) time.Duration {
	if _, gone := w.state(); gone && pod.DeletionTimestamp == nil {
		return 0
	}
	if g := pod.DeletionGracePeriodSeconds; pod.DeletionTimestamp != nil && g != nil {
		return time.Duration(*g) * time.Second
	}
	if g := pod.Spec.TerminationGracePeriodSeconds; g != nil {
		return time.Duration(*g) * time.Second
	}
	return 30 * time.Second
}

func findContainer(pod *corev1.Pod, name string) *corev1.Container {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == name {
			return &pod.Spec.Containers[i]
		}
	}
	for i := range pod.Spec.InitContainers {
		if pod.Spec.InitContainers[i].Name == name {
			return &pod.Spec.InitContainers[i]
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if pod.Spec.EphemeralContainers[i].Name == name {
			return (*corev1.Container)(&pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		}
	}
	return nil
}

// hook runs a lifecycle hook.
func (w *worker) hook(ctx context.Context, pod *corev1.Pod, c *corev1.Container, id string, h *corev1.LifecycleHandler) error {
	switch {
	case h.Exec != nil:
		resp, err := w.k.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: id, Cmd: h.Exec.Command})
		if err != nil {
			return err
		}
		if resp.ExitCode != 0 {
			return fmt.Errorf("command '%s' exited with %d: %s", strings.Join(h.Exec.Command, " "), resp.ExitCode, resp.Stdout)
		}
		return nil
	case h.HTTPGet != nil:
		return httpProbe(ctx, h.HTTPGet, c, w.podIP(), false)
	case h.Sleep != nil:
		select {
		case <-time.After(time.Duration(h.Sleep.Seconds) * time.Second):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (w *worker) podIP() string {
	if ips := w.seen.ips(); len(ips) > 0 {
		return ips[0]
	}
	if pod, _ := w.state(); pod.Spec.HostNetwork {
		return w.k.NodeIP
	}
	return ""
}

// cleanUp removes all that a pod leaves on the node.
func (k *Kubelet) cleanUp(ctx context.Context, w *worker) error {
	seen, err := k.observe(ctx, w.uid)
	if err != nil {
		return err
	}
	for _, cs := range seen.containers {
		for _, c := range cs {
			if _, err := k.Runtime.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: c.id}); err != nil && !notFound(err) {
				return fmt.Errorf("remove container: %w", err)
			}
		}
	}
	ids := seen.older
	if seen.sandbox != nil {
		ids = append(ids, seen.sandbox.Id)
	}
	for _, id := range ids {
		if _, err := k.Runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id}); err != nil && !notFound(err) {
			return fmt.Errorf("stop sandbox: %w", err)
		}
		if _, err := k.Runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id}); err != nil && !notFound(err) {
			return fmt.Errorf("remove sandbox: %w", err)
		}
	}
	if err := w.unmount(); err != nil {
		return err
	}
	k.cgroups.remove(w.uid)
	if err := os.RemoveAll(k.logDir(w.namespace, w.name, w.uid)); err != nil {
		return err
	}
	return os.RemoveAll(k.podDir(w.uid))
}

// terminationMessage is what a container said about its end: its message file,
// or the end of its log when it asked for that.
func terminationMessage(s *runtimeapi.ContainerStatus) string {
	const limit = 4096
	if file := s.Annotations[annotationHostMessagePath]; file != "" {
		if b, err := readTail(file, limit); err == nil && len(b) > 0 {
			return string(b)
		}
	}
	if s.Annotations[annotationMessagePolicy] == string(corev1.TerminationMessageFallbackToLogsOnError) && s.ExitCode != 0 && s.LogPath != "" {
		if text, err := lastLines(s.LogPath, 80, 2048); err == nil {
			return text
		}
	}
	return s.Message
}

func readTail(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(st.Size(), limit))
	_, err = f.ReadAt(b, st.Size()-int64(len(b)))
	return b, err
}

// messageFile is the file behind /dev/termination-log of one run of a container.
func (w *worker) messageFile(name string, restarts int32) (string, error) {
	dir := filepath.Join(w.k.podDir(w.uid), "containers", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(dir, fmt.Sprintf("termination-log-%d", restarts))
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o666)
	if err != nil {
		return "", err
	}
	defer f.Close()
	// Whatever user the container runs as may write it.
	return file, f.Chmod(0o666)
}
