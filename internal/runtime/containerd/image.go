package containerd

import (
	"context"
	"fmt"
	"io"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
)

// The namespace and the label by which containerd's CRI part knows images.
const (
	criNamespace = "k8s.io"
	managedLabel = "io.cri-containerd.image"
	pinnedLabel  = "io.cri-containerd.pinned"
)

// Import loads the images of a tar file (as of docker save, or an OCI layout)
// and returns their names. They are usable when it returns.
func Import(ctx context.Context, socket string, r io.Reader) ([]string, error) {
	return importImages(ctx, socket, r, map[string]string{managedLabel: "managed"})
}

func importImages(ctx context.Context, socket string, r io.Reader, labels map[string]string) ([]string, error) {
	c, err := containerd.New(socket)
	if err != nil {
		return nil, fmt.Errorf("the runtime at %s does not answer (is skiff running?): %w", socket, err)
	}
	defer c.Close()
	ctx = namespaces.WithNamespace(ctx, criNamespace)
	imgs, err := c.Import(ctx, r, containerd.WithImageLabels(labels))
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	var names []string
	for _, img := range imgs {
		if err := containerd.NewImage(c, img).Unpack(ctx, "overlayfs"); err != nil {
			return names, fmt.Errorf("unpack %s: %w", img.Name, err)
		}
		names = append(names, img.Name)
	}
	return names, nil
}

// EnsurePause imports the sandbox image unless it is there.
func EnsurePause(ctx context.Context, socket string) error {
	c, err := containerd.New(socket)
	if err != nil {
		return err
	}
	_, err = c.GetImage(namespaces.WithNamespace(ctx, criNamespace), PauseImage)
	c.Close()
	if err == nil {
		return nil
	}
	tar, err := pauseTar()
	if err != nil {
		return err
	}
	_, err = importImages(ctx, socket, tar, map[string]string{managedLabel: "managed", pinnedLabel: "pinned"})
	return err
}
