package containerd

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/skiff-k8s/skiff/internal/runtime"
)

// instance are options for a containerd of this test alone; whatever is left of it is removed.
func instance(t testing.TB) Options {
	bin, err := filepath.Abs("../../../bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"containerd", "containerd-shim-runc-v2", "runc"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Skipf("the runtime's programs are not built: %v", err)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("containers need root")
	}
	dir := t.TempDir()
	state, err := os.MkdirTemp("/run", "skiff-test-")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		BinDir: bin, Root: filepath.Join(dir, "root"), State: state, LogFile: filepath.Join(dir, "containerd.log"),
		CNISocket: filepath.Join(state, "cni.sock"), CNIConfDir: filepath.Join(dir, "cni"), RegistryDir: filepath.Join(dir, "certs.d"),
		CgroupParent: "/" + filepath.Base(state), NoSync: true,
	}
	t.Cleanup(func() {
		if t.Failed() {
			b, _ := os.ReadFile(o.LogFile)
			t.Logf("containerd said:\n%s", b)
		}
		if err := o.Cleanup(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return o
}

func start(t testing.TB, o Options) (*Daemon, *runtime.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	d, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := runtime.Dial(ctx, d.Socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return d, c
}

func TestStart(t *testing.T) {
	o := instance(t)
	began := time.Now()
	_, c := start(t, o)
	t.Logf("ready after %v", time.Since(began))
	resp, err := c.Images.ListImages(t.Context(), &runtimeapi.ListImagesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.Images) != 1 || !resp.Images[0].Pinned {
		t.Errorf("images at the start: %v, want the sandbox image, pinned", resp.Images)
	}
	t.Log(resp.Images)
}
