package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/skiff-k8s/skiff/internal/kubelet/stream"
)

// routes are the paths of the kubelet's HTTP API, as upstream has them. Whoever
// calls it has been authorised by the API server.
func (k *Kubelet) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.serveLogs)
	s := &stream.Server{Runtime: k.Runtime}
	exec := func(w http.ResponseWriter, r *http.Request) {
		if id, ok := k.runningContainer(w, r); ok {
			s.Exec(w, r, id, r.URL.Query()["command"])
		}
	}
	attach := func(w http.ResponseWriter, r *http.Request) {
		if id, ok := k.runningContainer(w, r); ok {
			s.Attach(w, r, id)
		}
	}
	forward := func(w http.ResponseWriter, r *http.Request) {
		id, err := k.sandboxOf(r.Context(), r.PathValue("namespace"), r.PathValue("pod"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		s.PortForward(w, r, id)
	}
	for _, method := range []string{"GET", "POST"} {
		m.HandleFunc(method+" /exec/{namespace}/{pod}/{container}", exec)
		m.HandleFunc(method+" /attach/{namespace}/{pod}/{container}", attach)
		m.HandleFunc(method+" /portForward/{namespace}/{pod}", forward)
	}
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	return m
}

func (k *Kubelet) runningContainer(w http.ResponseWriter, r *http.Request) (string, bool) {
	c, err := k.containerRun(r.Context(), r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"), false)
	if err == nil && !c.running() {
		err = fmt.Errorf("container %q is not running", r.PathValue("container"))
	}
	if err != nil {
		writeStatus(w, http.StatusInternalServerError, metav1.StatusReasonInternalError, err.Error())
		return "", false
	}
	return c.id, true
}

func (k *Kubelet) sandboxOf(ctx context.Context, namespace, name string) (string, error) {
	wk, err := k.find(namespace, name)
	if err != nil {
		return "", err
	}
	seen, err := k.observe(ctx, wk.uid)
	if err != nil {
		return "", err
	}
	if !seen.ready() {
		return "", fmt.Errorf("unable to forward port because pod is not running. Current status=%v", corev1.PodPending)
	}
	return seen.sandbox.Id, nil
}

// containerRun is the newest run of a container, or the one before it.
func (k *Kubelet) containerRun(ctx context.Context, namespace, name, container string, previous bool) (*container, error) {
	uid := ""
	if wk, err := k.find(namespace, name); err == nil {
		uid = string(wk.uid)
	}
	// Pods that are over have no worker, but what the runtime has of them can still be read.
	filter := map[string]string{labelPodName: name, labelPodNamespace: namespace, labelContainerName: container}
	if uid != "" {
		filter[labelPodUID] = uid
	}
	return k.newestRun(ctx, filter, name, container, previous)
}

func (k *Kubelet) newestRun(ctx context.Context, filter map[string]string, pod, name string, previous bool) (*container, error) {
	list, err := k.Runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: &runtimeapi.ContainerFilter{LabelSelector: filter}})
	if err != nil {
		return nil, err
	}
	var runs []*container
	for _, c := range list.Containers {
		st, err := k.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: c.Id})
		if err != nil {
			continue
		}
		runs = append(runs, readContainer(st.Status))
	}
	var newest, before *container
	for _, c := range runs {
		switch {
		case newest == nil || c.created.After(newest.created):
			newest, before = c, newest
		case before == nil || c.created.After(before.created):
			before = c
		}
	}
	switch {
	case previous && before == nil:
		return nil, &notThere{fmt.Sprintf("previous terminated container %q in pod %q not found", name, pod)}
	case previous:
		return before, nil
	case newest == nil:
		return nil, &notThere{fmt.Sprintf("container %q in pod %q is waiting to start: %s", name, pod, k.whyWaiting(filter, name))}
	}
	return newest, nil
}

// notThere is an error of the asker: there is no such run.
type notThere struct{ text string }

func (e *notThere) Error() string { return e.text }

func (k *Kubelet) whyWaiting(filter map[string]string, name string) string {
	wk, err := k.find(filter[labelPodNamespace], filter[labelPodName])
	if err != nil {
		return "ContainerCreating"
	}
	pod, _ := wk.state()
	for _, st := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if st.Name == name && st.State.Waiting != nil {
			if st.State.Waiting.Reason == "ErrImagePull" || st.State.Waiting.Reason == "ImagePullBackOff" {
				return "trying and failing to pull image"
			}
			return st.State.Waiting.Reason
		}
	}
	return "ContainerCreating"
}

func writeStatus(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%s,"reason":%q,"code":%d}`+"\n", strconv.Quote(message), reason, code)
}

// serveLogs writes a container's log.
func (k *Kubelet) serveLogs(w http.ResponseWriter, r *http.Request) {
	o, err := parseLogOptions(r.URL.Query())
	if err != nil {
		writeStatus(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	c, err := k.containerRun(r.Context(), r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"), o.previous)
	if err != nil {
		code, reason := http.StatusInternalServerError, metav1.StatusReasonInternalError
		var absent *notThere
		if errors.As(err, &absent) {
			code, reason = http.StatusBadRequest, metav1.StatusReasonBadRequest
		}
		writeStatus(w, code, reason, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusOK)
	out := &flushWriter{w: w, rc: http.NewResponseController(w)}
	out.rc.Flush()
	running := func() bool {
		st, err := k.Runtime.ContainerStatus(r.Context(), &runtimeapi.ContainerStatusRequest{ContainerId: c.id})
		return err == nil && st.Status.State == runtimeapi.ContainerState_CONTAINER_RUNNING
	}
	if err := copyLog(r.Context(), out, c.logPath, o, running); err != nil && r.Context().Err() == nil {
		fmt.Fprintf(w, "failed to read the log of container %q: %v\n", c.name, err)
	}
}

// flushWriter sends each write on at once.
type flushWriter struct {
	w  io.Writer
	rc *http.ResponseController
}

func (f *flushWriter) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	if err == nil {
		err = f.rc.Flush()
	}
	return n, err
}
