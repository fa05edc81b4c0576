package kubelet

import (
	"context"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The labels and annotations by which sandboxes and containers are known to
// belong to a pod; the same as upstream's, so that tools find them.
const (
	labelPodName       = "io.kubernetes.pod.name"
	labelPodNamespace  = "io.kubernetes.pod.namespace"
	labelPodUID        = "io.kubernetes.pod.uid"
	labelContainerName = "io.kubernetes.container.name"

	annotationHash            = "io.kubernetes.container.hash"
	annotationRestarts        = "io.kubernetes.container.restartCount"
	annotationMessagePath     = "io.kubernetes.container.terminationMessagePath"
	annotationMessagePolicy   = "io.kubernetes.container.terminationMessagePolicy"
	annotationGrace           = "io.kubernetes.pod.terminationGracePeriod"
	annotationHostMessagePath = "skiff.io/termination-log"
)

// observed is what the runtime has of a pod.
type observed struct {
	sandbox    *runtimeapi.PodSandboxStatus // the newest; nil when there is none
	older      []string                     // ids of sandboxes before it
	containers map[string][]*container      // by name, the newest first
}

// container is one run of a container.
type container struct {
	id       string
	name     string
	hash     string
	restarts int32
	state    runtimeapi.ContainerState
	sandbox  string
	image    string
	imageRef string
	created  time.Time
	started  time.Time
	finished time.Time
	exitCode int32
	reason   string
	message  string
	logPath  string
	user     *runtimeapi.ContainerUser
	signal   int32
}

func (c *container) running() bool { return c.state == runtimeapi.ContainerState_CONTAINER_RUNNING }
func (c *container) exited() bool  { return c.state == runtimeapi.ContainerState_CONTAINER_EXITED }

func (o *observed) latest(name string) *container {
	if cs := o.containers[name]; len(cs) > 0 {
		return cs[0]
	}
	return nil
}

func (o *observed) ready() bool {
	return o.sandbox != nil && o.sandbox.State == runtimeapi.PodSandboxState_SANDBOX_READY
}

// ips are the addresses of the sandbox.
func (o *observed) ips() []string {
	if !o.ready() || o.sandbox.Network == nil || o.sandbox.Network.Ip == "" {
		return nil
	}
	out := []string{o.sandbox.Network.Ip}
	for _, a := range o.sandbox.Network.AdditionalIps {
		out = append(out, a.Ip)
	}
	return out
}

// observe asks the runtime for everything it has of a pod.
func (k *Kubelet) observe(ctx context.Context, uid types.UID) (*observed, error) {
	o := &observed{containers: map[string][]*container{}}
	byPod := map[string]string{labelPodUID: string(uid)}
	boxes, err := k.Runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{Filter: &runtimeapi.PodSandboxFilter{LabelSelector: byPod}})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(boxes.Items, func(a, b *runtimeapi.PodSandbox) int { return int(b.CreatedAt - a.CreatedAt) })
	for i, b := range boxes.Items {
		if i > 0 {
			o.older = append(o.older, b.Id)
			continue
		}
		st, err := k.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: b.Id})
		if err != nil {
			if notFound(err) {
				continue
			}
			return nil, err
		}
		o.sandbox = st.Status
	}
	list, err := k.Runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: &runtimeapi.ContainerFilter{LabelSelector: byPod}})
	if err != nil {
		return nil, err
	}
	for _, c := range list.Containers {
		st, err := k.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: c.Id})
		if err != nil {
			if notFound(err) {
				continue
			}
			return nil, err
		}
		oc := readContainer(st.Status)
		oc.sandbox = c.PodSandboxId
		o.containers[oc.name] = append(o.containers[oc.name], oc)
	}
	for _, cs := range o.containers {
		slices.SortFunc(cs, func(a, b *container) int {
			if a.restarts != b.restarts {
				return int(b.restarts - a.restarts)
			}
			return b.created.Compare(a.created)
		})
	}
	return o, nil
}

func readContainer(s *runtimeapi.ContainerStatus) *container {
	restarts, _ := strconv.Atoi(s.Annotations[annotationRestarts])
	c := &container{
		id: s.Id, name: s.Labels[labelContainerName], hash: s.Annotations[annotationHash], restarts: int32(restarts),
		state: s.State, imageRef: s.ImageRef, created: at(s.CreatedAt), started: at(s.StartedAt), finished: at(s.FinishedAt),
		exitCode: s.ExitCode, reason: s.Reason, message: s.Message, logPath: s.LogPath, user: s.User,
	}
	if s.Image != nil {
		c.image = s.Image.Image
		if s.Image.UserSpecifiedImage != "" {
			c.image = s.Image.UserSpecifiedImage
		}
	}
	if s.State == runtimeapi.ContainerState_CONTAINER_EXITED {
		c.message = terminationMessage(s)
	}
	return c
}

func at(nanos int64) time.Time {
	if nanos <= 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

func notFound(err error) bool      { return status.Code(err) == codes.NotFound }
func unimplemented(err error) bool { return status.Code(err) == codes.Unimplemented }
