package containerd

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/skiff-k8s/skiff/internal/runtime"
)

// The namespace, the snapshotter and the labels by which containerd's CRI part knows images.
const (
	criNamespace = "k8s.io"
	snapshotter  = "overlayfs"
	managedLabel = "io.cri-containerd.image"
	pinnedLabel  = "io.cri-containerd.pinned"
)

// Import loads the images of a tar file (of docker save, or an OCI layout, either
// of them also compressed by gzip) and returns their names. When it returns, CRI lists them and containers can use them.
func Import(ctx context.Context, socket string, r io.Reader) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("it took more than ten minutes"))
	defer cancel()
	// A start makes the socket within a fraction of a second: none means that nobody serves it.
	if _, err := os.Stat(strings.TrimPrefix(socket, "unix://")); err != nil {
		return nil, fmt.Errorf("the container runtime does not run (is skiff running?): %w", err)
	}
	short, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	c, err := runtime.Dial(short, socket)
	if err != nil {
		return nil, fmt.Errorf("%w (is skiff running?)", err)
	}
	defer c.Close()
	return load(ctx, c, r, map[string]string{managedLabel: "managed"})
}

// load imports, unpacks and waits until CRI knows the images.
func load(ctx context.Context, conn *runtime.Client, r io.Reader, labels map[string]string) ([]string, error) {
	c, err := client.NewWithConn(conn.Conn(), client.WithDefaultNamespace(criNamespace))
	if err != nil {
		return nil, err
	}
	if r, err = plain(r); err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	ctx = namespaces.WithNamespace(ctx, criNamespace)
	// Without a lease the garbage collector may take the blobs of an image before it is unpacked.
	ctx, done, err := c.WithLease(ctx)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	defer done(context.WithoutCancel(ctx))
	imgs, err := c.Import(ctx, r, client.WithImageLabels(labels), client.WithImageRefTranslator(normalize))
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	if len(imgs) == 0 {
		return nil, errors.New("import: the file holds no image that has a name")
	}
	var names []string
	for _, img := range imgs {
		if err := client.NewImage(c, img).Unpack(ctx, snapshotter); err != nil {
			return names, fmt.Errorf("unpack %s: %w", img.Name, err)
		}
		if err := digestReference(ctx, c.ImageService(), img); err != nil {
			return names, fmt.Errorf("import %s: %w", img.Name, err)
		}
		if err := visible(ctx, conn.Images, img.Name); err != nil {
			return names, err
		}
		if !slices.Contains(names, img.Name) {
			names = append(names, img.Name)
		}
	}
	return names, nil
}

// plain undoes gzip, by which such files are often passed on.
func plain(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := b.Peek(2); string(magic) != "\x1f\x8b" {
		return b, nil
	}
	return gzip.NewReader(b)
}

// normalize gives an OCI layout's name of an image the form that CRI looks for:
// nginx:1.7.9 is docker.io/library/nginx:1.7.9. (containerd does so itself for files of docker
// save.) A bare tag names nothing.
func normalize(name string) string {
	if !strings.ContainsAny(name, ":/@") {
		return ""
	}
	ref, err := reference.ParseDockerRef(name)
	if err != nil {
		return ""
	}
	return ref.String()
}

// digestReference adds the name of the image by digest, as a pull does: it becomes
// the imageID in the status of containers.
func digestReference(ctx context.Context, s images.Store, img images.Image) error {
	ref, err := reference.ParseDockerRef(img.Name)
	if err != nil {
		return err
	}
	byDigest := images.Image{
		Name: archive.DigestTranslator(ref.Name())(img.Target.Digest), Target: img.Target, Labels: img.Labels,
	}
	if _, err := s.Create(ctx, byDigest); err != nil && !errdefs.IsAlreadyExists(err) {
		return err
	}
	return nil
}

// visible waits until CRI has taken notice of an image, which it does on an event.
func visible(ctx context.Context, s runtimeapi.ImageServiceClient, name string) error {
	req := &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: name}}
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		resp, err := s.ImageStatus(ctx, req)
		if err != nil {
			return fmt.Errorf("import %s: %w", name, err)
		}
		if resp.Image != nil {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("import %s: the runtime does not list it: %w", name, context.Cause(ctx))
		}
	}
}

// ensurePause provides the sandbox image unless it is there. It is pinned: a
// kubelet's garbage collection of images leaves it alone.
func ensurePause(ctx context.Context, c *runtime.Client) error {
	resp, err := c.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: PauseImage}})
	if err != nil {
		return fmt.Errorf("look for the sandbox image: %w", err)
	}
	if resp.Image != nil {
		return nil
	}
	tar, err := pauseTar()
	if err != nil {
		return err
	}
	_, err = load(ctx, c, tar, map[string]string{managedLabel: "managed", pinnedLabel: "pinned"})
	return err
}
