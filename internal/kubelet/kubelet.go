// Package kubelet runs the pods of one node through a CRI runtime.
//
// Each pod has a worker (worker.go), a goroutine that sleeps until something
// happens: the pod changed, the runtime reported an event, a probe has news, a time
// came. It then observes the runtime (observe.go), asks the pure step machine what
// to do (step.go), does it (act.go), and reports what is (status.go). There is no
// relist loop.
//
// Around the workers: volumes (volume.go, atomic.go), probes (probe.go), images
// (image.go), the node's own object and lease (node.go), logs, exec and the like
// for the API server (package stream), static pods (static.go).
//
// Read this file, step.go, worker.go.
package kubelet

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
)

// Options are what a kubelet is made of.
type Options struct {
	NodeName      string
	NodeIP        string
	NodeLabels    map[string]string
	Taints        []corev1.Taint
	Client        client.Client
	Events        client.Recorder
	Runtime       runtimeapi.RuntimeServiceClient
	Images        runtimeapi.ImageServiceClient
	RootDir       string // volumes and the like of pods
	LogDir        string // logs of containers
	StaticPodDir  string
	CgroupRoot    string // parent of all pods' cgroups: "/skiff-1a2b3c/kubepods"
	ClusterDNS    string
	ClusterDomain string
	Version       string
	Log           *slog.Logger
	// Token issues a service-account token bound to a pod.
	Token func(ctx context.Context, namespace, serviceAccount string, audiences []string, seconds int64, pod string, uid types.UID) (string, time.Time, error)
}

// Kubelet runs pods.
type Kubelet struct {
	Options
	cgroups cgroups
	images  puller
	machine machine
	handler http.Handler

	mu      sync.Mutex
	workers map[types.UID]*worker
	wg      sync.WaitGroup
	ctx     context.Context
	// left are pods that the runtime has from before and that no worker has taken over yet.
	left map[types.UID]podRef
	// ready is closed when the node was first reported ready.
	ready chan struct{}
}

type podRef struct {
	namespace, name string
	uid             types.UID
}

// New returns a kubelet; Run starts it.
func New(o Options) (*Kubelet, error) {
	k := &Kubelet{Options: o, workers: map[types.UID]*worker{}, left: map[types.UID]podRef{}, ready: make(chan struct{})}
	k.images.init(k)
	var err error
	if k.cgroups, err = openCgroups(o.CgroupRoot); err != nil {
		return nil, err
	}
	if k.machine, err = readMachine(); err != nil {
		return nil, err
	}
	for _, d := range []string{o.RootDir, o.LogDir, o.StaticPodDir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	k.handler = k.routes()
	return k, nil
}

// Handler is the kubelet's HTTP API: logs, exec, attach, port-forward.
func (k *Kubelet) Handler() http.Handler { return k.handler }

// Ready is closed when the node was first reported ready.
func (k *Kubelet) Ready() <-chan struct{} { return k.ready }

// Run runs pods until the context ends. Containers go on when it returns.
func (k *Kubelet) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	k.ctx = ctx
	errs := make(chan error, 8)
	var parts sync.WaitGroup
	defer func() {
		cancel()
		parts.Wait()
		k.wg.Wait()
		k.mu.Lock()
		k.workers = map[types.UID]*worker{}
		k.mu.Unlock()
	}()
	if err := k.adopt(ctx); err != nil {
		return fmt.Errorf("list what the runtime has: %w", err)
	}
	for name, part := range map[string]func(context.Context) error{
		"pods": k.followPods, "runtime events": k.followRuntime, "node": k.runNode, "lease": k.runLease,
		"configuration": k.followConfiguration, "static pods": k.followStatic, "images": k.collectImages,
	} {
		parts.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				errs <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	select {
	case err := <-errs:
		return err
	case <-ctx.Done():
		return nil
	}
}

// followPods gives every pod of this node its worker.
func (k *Kubelet) followPods(ctx context.Context) error {
	sel := client.Selector{Fields: fields.OneTermEqualSelector("spec.nodeName", k.NodeName)}
	for {
		w, err := k.Client.Watch(ctx, all.For[*corev1.Pod](), "", sel, -1)
		if err != nil {
			return err
		}
		err = k.drainPods(ctx, w)
		w.Close()
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return err
		}
	}
}

func (k *Kubelet) drainPods(ctx context.Context, w client.Watch) error {
	first := map[types.UID]bool{}
	for {
		events, err := w.Next(ctx)
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Synced() {
				k.forgetAllBut(first)
				first = nil
				continue
			}
			pod := e.Object.(*corev1.Pod)
			if first != nil {
				first[pod.UID] = true
			}
			if e.Type == watch.Deleted {
				k.gone(pod)
			} else {
				k.update(pod)
			}
		}
	}
}

// update hands the pod's newest state to its worker.
func (k *Kubelet) update(pod *corev1.Pod) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.left, pod.UID)
	w := k.workers[pod.UID]
	if w == nil {
		if finished(pod) && pod.DeletionTimestamp == nil {
			// Nothing runs any more and nothing will; what is left of it is swept with the leftovers.
			if !k.hasLeftovers(pod.UID) {
				return
			}
		}
		w = newWorker(k, pod)
		k.workers[pod.UID] = w
		k.wg.Go(func() { w.run(k.ctx) })
		return
	}
	w.setPod(pod)
}

func (k *Kubelet) hasLeftovers(uid types.UID) bool {
	_, err := os.Stat(k.podDir(uid))
	return err == nil
}

// gone tells the worker that the pod's object was removed: whatever still runs ends at once.
func (k *Kubelet) gone(pod *corev1.Pod) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w := k.workers[pod.UID]; w != nil {
		w.setGone()
	}
}

// forgetAllBut ends what no object stands for: workers, and what the runtime had from before.
func (k *Kubelet) forgetAllBut(known map[types.UID]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for uid, w := range k.workers {
		if !known[uid] && !w.static {
			w.setGone()
		}
	}
	for uid, ref := range k.left {
		delete(k.left, uid)
		pod := &corev1.Pod{}
		pod.Name, pod.Namespace, pod.UID = ref.name, ref.namespace, uid
		w := newWorker(k, pod)
		w.isGone = true
		k.workers[uid] = w
		k.wg.Go(func() { w.run(k.ctx) })
	}
}

func (k *Kubelet) remove(w *worker) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.workers[w.uid] == w {
		delete(k.workers, w.uid)
	}
}

func (k *Kubelet) worker(uid types.UID) *worker {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.workers[uid]
}

// find is the worker of a pod by name.
func (k *Kubelet) find(namespace, name string) (*worker, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.workers {
		if w.name == name && w.namespace == namespace {
			return w, nil
		}
	}
	return nil, fmt.Errorf("pod %s/%s does not run on this node", namespace, name)
}

// adopt lists the pods that the runtime has, for forgetAllBut to end those that nobody wants.
func (k *Kubelet) adopt(ctx context.Context) error {
	boxes, err := k.Runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range boxes.Items {
		uid := types.UID(b.Labels[labelPodUID])
		if uid != "" {
			k.left[uid] = podRef{b.Labels[labelPodNamespace], b.Labels[labelPodName], uid}
		}
	}
	return nil
}

// followRuntime wakes the workers of the pods that the runtime has news of.
func (k *Kubelet) followRuntime(ctx context.Context) error {
	stream, err := k.Runtime.GetContainerEvents(ctx, &runtimeapi.GetEventsRequest{})
	if err != nil {
		return err
	}
	for {
		ev, err := stream.Recv()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return k.relist(ctx, err)
		}
		if b := ev.PodSandboxStatus; b != nil && b.Metadata != nil {
			if w := k.worker(types.UID(b.Metadata.Uid)); w != nil {
				w.wake()
			}
		}
	}
}

// relist is for runtimes that send no events: every worker looks once a second.
func (k *Kubelet) relist(ctx context.Context, why error) error {
	if !unimplemented(why) {
		return why
	}
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		k.mu.Lock()
		for _, w := range k.workers {
			w.wake()
		}
		k.mu.Unlock()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (k *Kubelet) podDir(uid types.UID) string { return filepath.Join(k.RootDir, "pods", string(uid)) }

func (k *Kubelet) logDir(namespace, name string, uid types.UID) string {
	return filepath.Join(k.LogDir, namespace+"_"+name+"_"+string(uid))
}

// event records an event of this kubelet.
func (k *Kubelet) event(pod *corev1.Pod, container, kind, reason, format string, a ...any) {
	path := ""
	if container != "" {
		path = fieldPath(pod, container)
	}
	k.Events.RecordFrom("kubelet", k.NodeName, pod, path, kind, reason, fmt.Sprintf(format, a...))
}

func fieldPath(pod *corev1.Pod, container string) string {
	for i := range pod.Spec.InitContainers {
		if pod.Spec.InitContainers[i].Name == container {
			return "spec.initContainers{" + container + "}"
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if pod.Spec.EphemeralContainers[i].Name == container {
			return "spec.ephemeralContainers{" + container + "}"
		}
	}
	return "spec.containers{" + container + "}"
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
