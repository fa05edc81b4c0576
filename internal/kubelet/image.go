package kubelet

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/flowcontrol"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/skiff-k8s/skiff/internal/client"
)

// puller pulls images: different ones at the same time, each one once.
type puller struct {
	k       *Kubelet
	mu      sync.Mutex
	flights map[string]*flight
	backoff *flowcontrol.Backoff
}

type flight struct {
	done chan struct{}
	err  error
}

// pullState is what a container's image waits for.
type pullState struct {
	pending         bool
	retry           time.Time
	reason, message string
}

func (p *puller) init(k *Kubelet) {
	p.k, p.flights = k, map[string]*flight{}
	p.backoff = flowcontrol.NewBackOff(10*time.Second, 5*time.Minute)
}

// ensureImage returns the container's image when it is on the node, or begins to
// pull it; the worker is woken when that ends.
func (w *worker) ensureImage(ctx context.Context, pod *corev1.Pod, c *corev1.Container) (*runtimeapi.Image, bool) {
	st := w.pulling[c.Name]
	if st == nil {
		st = &pullState{}
		w.pulling[c.Name] = st
	}
	if st.pending {
		return nil, false
	}
	image, err := w.k.imageOf(ctx, c.Image)
	if err != nil {
		w.failPull(pod, c, st, "ImageInspectError", fmt.Sprintf("Failed to inspect image %q: %v", c.Image, err))
		return nil, false
	}
	// A pull that ended well a moment ago satisfies "Always" for this start.
	always := c.ImagePullPolicy == corev1.PullAlways && st.reason != "pulled"
	switch {
	case image != nil && !always:
		if st.reason != "pulled" {
			w.k.event(pod, c.Name, corev1.EventTypeNormal, "Pulled", "Container image %q already present on machine and can be accessed by the pod", c.Image)
		}
		st.reason, st.message = "", ""
		return image, true
	case image == nil && c.ImagePullPolicy == corev1.PullNever:
		w.failPull(pod, c, st, "ErrImageNeverPull", fmt.Sprintf("Container image %q is not present with pull policy of Never", c.Image))
		return nil, false
	}
	key := string(w.uid) + "/" + c.Image
	if w.k.images.backoff.IsInBackOffSinceUpdate(key, time.Now()) {
		w.k.event(pod, c.Name, corev1.EventTypeNormal, "BackOff", "Back-off pulling image %q", c.Image)
		was := st.message
		st.reason, st.message = "ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q", c.Image)
		if strings.HasPrefix(was, "failed") || strings.HasPrefix(was, "rpc") {
			st.message += ": ErrImagePull: " + was
		}
		st.retry = time.Now().Add(w.k.images.backoff.Get(key))
		return nil, false
	}
	st.pending = true
	st.reason, st.message = "", ""
	w.k.event(pod, c.Name, corev1.EventTypeNormal, "Pulling", "Pulling image %q", c.Image)
	w.k.wg.Go(func() { w.pull(w.k.ctx, pod, c, st, key) })
	return nil, false
}

func (w *worker) failPull(pod *corev1.Pod, c *corev1.Container, st *pullState, reason, message string) {
	if st.reason != reason {
		w.k.event(pod, c.Name, corev1.EventTypeWarning, reason, "%s", message)
		w.k.event(pod, c.Name, corev1.EventTypeWarning, "Failed", "Error: %s", reason)
	}
	st.reason, st.message = reason, message
	st.retry = time.Now().Add(10 * time.Second)
}

// pull runs on its own goroutine; what it finds reaches the worker through a mailbox of one.
func (w *worker) pull(ctx context.Context, pod *corev1.Pod, c *corev1.Container, st *pullState, key string) {
	began := time.Now()
	err := w.k.images.pull(ctx, pod, c.Image)
	took := time.Since(began).Round(time.Millisecond)
	if err == nil {
		size := int64(0)
		if img, ierr := w.k.imageOf(ctx, c.Image); ierr == nil && img != nil {
			size = int64(img.Size)
		}
		w.k.images.backoff.DeleteEntry(key)
		w.k.event(pod, c.Name, corev1.EventTypeNormal, "Pulled", "Successfully pulled image %q in %v (%v including waiting). Image size: %d bytes.", c.Image, took, took, size)
	} else if ctx.Err() == nil {
		w.k.images.backoff.Next(key, time.Now())
		w.k.event(pod, c.Name, corev1.EventTypeWarning, "Failed", "Failed to pull image %q: %v", c.Image, err)
		w.k.event(pod, c.Name, corev1.EventTypeWarning, "Failed", "Error: ErrImagePull")
	}
	w.inLoop(func() {
		st.pending = false
		st.reason, st.message = "pulled", ""
		if err != nil {
			st.reason, st.message = "ErrImagePull", err.Error()
			st.retry = time.Now().Add(time.Second)
		}
	})
}

// pull asks the runtime for the image, or waits for somebody who did already.
func (p *puller) pull(ctx context.Context, pod *corev1.Pod, image string) error {
	auths := p.credentials(ctx, pod, image)
	key := image
	if len(auths) > 0 {
		key += "\x00" + pod.Namespace
	}
	p.mu.Lock()
	if f := p.flights[key]; f != nil {
		p.mu.Unlock()
		select {
		case <-f.done:
			return f.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f := &flight{done: make(chan struct{})}
	p.flights[key] = f
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.flights, key)
		p.mu.Unlock()
		close(f.done)
	}()
	if len(auths) == 0 {
		auths = []*runtimeapi.AuthConfig{nil}
	}
	for _, a := range auths {
		_, f.err = p.k.Images.PullImage(ctx, &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: image}, Auth: a})
		if f.err == nil {
			break
		}
	}
	return f.err
}

// imageOf is the image on this node; nil when it is not there.
func (k *Kubelet) imageOf(ctx context.Context, name string) (*runtimeapi.Image, error) {
	resp, err := k.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: name}})
	if err != nil {
		return nil, err
	}
	return resp.Image, nil
}

// dockerConfig is what a pull secret holds.
type dockerConfig struct {
	Auths map[string]struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Auth     string `json:"auth"`
		Identity string `json:"identitytoken"`
	} `json:"auths"`
}

// credentials are those of the pod's pull secrets that are for the image's registry.
func (p *puller) credentials(ctx context.Context, pod *corev1.Pod, image string) []*runtimeapi.AuthConfig {
	var out []*runtimeapi.AuthConfig
	for _, ref := range pod.Spec.ImagePullSecrets {
		s, err := client.Get[*corev1.Secret](ctx, p.k.Client, pod.Namespace, ref.Name)
		if err != nil {
			continue // upstream pulls without it and tells by an event
		}
		var c dockerConfig
		switch s.Type {
		case corev1.SecretTypeDockerConfigJson:
			err = json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &c)
		case corev1.SecretTypeDockercfg:
			err = json.Unmarshal(s.Data[corev1.DockerConfigKey], &c.Auths)
		}
		if err != nil {
			continue
		}
		for host, a := range c.Auths {
			if !registryMatches(host, image) {
				continue
			}
			auth := &runtimeapi.AuthConfig{Username: a.Username, Password: a.Password, IdentityToken: a.Identity}
			if b, err := base64.StdEncoding.DecodeString(a.Auth); err == nil && a.Auth != "" {
				auth.Username, auth.Password, _ = strings.Cut(string(b), ":")
			}
			out = append(out, auth)
		}
	}
	return out
}

func registryMatches(host, image string) bool {
	host = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(host, "https://"), "http://"), "/")
	registry, rest, ok := strings.Cut(image, "/")
	if !ok || !strings.ContainsAny(registry, ".:") && registry != "localhost" {
		registry, rest = "docker.io", image
	}
	if registry == "docker.io" && strings.Contains(host, "docker.io") {
		return true
	}
	return host == registry || strings.HasPrefix(registry+"/"+rest, host+"/")
}

// collectImages removes images that nobody uses when the disk that holds them is
// fuller than it should be.
func (k *Kubelet) collectImages(ctx context.Context) error {
	const high, low, every = 85, 80, 5 * time.Minute
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		if used := diskUsed(k.RootDir); used < high {
			continue
		}
		if err := k.removeImages(ctx, func() bool { return diskUsed(k.RootDir) < low }); err != nil {
			k.Log.Error("image garbage collection", "err", err)
		}
	}
}

func (k *Kubelet) removeImages(ctx context.Context, enough func() bool) error {
	used := map[string]bool{}
	cs, err := k.Runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		return err
	}
	for _, c := range cs.Containers {
		used[c.ImageRef] = true
		used[c.ImageId] = true
	}
	imgs, err := k.Images.ListImages(ctx, &runtimeapi.ListImagesRequest{})
	if err != nil {
		return err
	}
	for _, img := range imgs.Images {
		if used[img.Id] || img.Pinned {
			continue
		}
		if enough() {
			return nil
		}
		if _, err := k.Images.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: img.Id}}); err != nil {
			return err
		}
	}
	return nil
}
