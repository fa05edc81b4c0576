package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/skiff-k8s/skiff/internal/kubelet"
	"github.com/skiff-k8s/skiff/internal/podnet"
	"github.com/skiff-k8s/skiff/internal/proxy"
	"github.com/skiff-k8s/skiff/internal/runtime"
	"github.com/skiff-k8s/skiff/internal/runtime/containerd"
)

// Pid is the process of the running instance; 0 when none runs. The pid file may
// be of a process that was killed, so the lock is asked: whoever runs holds it.
func (c *Config) Pid() int {
	f, err := os.Open(c.lockFile())
	if err != nil {
		return 0
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0
	}
	b := make([]byte, 16)
	n, _ := f.Read(b)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(bytes.TrimRight(b[:n], "\x00"))))
	return pid
}

// Down ends the instance and its containers. Data stays.
func (c *Config) Down(ctx context.Context) error {
	if err := c.stopDaemon(ctx); err != nil {
		return err
	}
	if c.ControlPlaneOnly {
		return nil
	}
	if err := c.stopPods(ctx); err != nil {
		return err
	}
	if c.ContainerRuntimeEndpoint != "" {
		return nil
	}
	o := c.containerdOptions()
	return o.Stop(ctx)
}

func (c *Config) stopDaemon(ctx context.Context) error {
	pid := c.Pid()
	if pid == 0 {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	deadline := time.Now().Add(20 * time.Second)
	for c.Pid() != 0 {
		if time.Now().After(deadline) {
			syscall.Kill(pid, syscall.SIGKILL)
			deadline = time.Now().Add(5 * time.Second)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// stopPods ends the pods that the runtime has, many at the same time. Their
// objects stay: they run again after the next start.
func (c *Config) stopPods(ctx context.Context) error {
	if _, err := os.Stat(strings.TrimPrefix(c.RuntimeEndpoint(), "unix://")); err != nil {
		return nil // no runtime, no pods
	}
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	rt, err := runtime.Dial(short, c.RuntimeEndpoint())
	if err != nil {
		return nil // it is down already; what is left is for reset, or for the next start to adopt
	}
	defer rt.Close()
	// The network agent went with the daemon, and the runtime asks it to give addresses back.
	agent, stop := c.serveNetwork(ctx)
	defer stop()
	<-agent
	boxes, err := rt.Runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	errs := make([]error, len(boxes.Items))
	for n, b := range boxes.Items {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if _, err := rt.Runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: b.Id}); err != nil {
				errs[n] = fmt.Errorf("stop pod %s: %w", b.Metadata.Name, err)
				return
			}
			if _, err := rt.Runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: b.Id}); err != nil {
				errs[n] = fmt.Errorf("remove pod %s: %w", b.Metadata.Name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// serveNetwork answers CNI calls for the time of a down.
func (c *Config) serveNetwork(ctx context.Context) (ready <-chan struct{}, stop func()) {
	never := make(chan struct{})
	close(never)
	cidr, err := podnet.StoredCIDR(c.path("podnet"))
	if err != nil || cidr == (netip.Prefix{}) {
		return never, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	agent := podnet.New(c.podnetOptions(cidr))
	done := make(chan struct{})
	go func() {
		defer close(done)
		agent.Run(ctx)
	}()
	return agent.Ready(), func() { cancel(); <-done }
}

// Reset removes everything that the instance ever made on this host. It may be
// repeated, and works after any kind of end.
func (c *Config) Reset(ctx context.Context) error {
	if err := c.stopDaemon(ctx); err != nil {
		return err
	}
	var errs []error
	keep := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	keep("kubeconfig", c.UnmergeKubeconfig())
	if !c.ControlPlaneOnly {
		if c.ContainerRuntimeEndpoint != "" {
			keep("pods", c.stopPods(ctx))
		} else {
			o := c.containerdOptions()
			keep("containers", o.Cleanup(ctx))
		}
		keep("service proxy", proxy.Remove(proxyTable))
		keep("pod network", podnet.Remove(c.podnetOptions(netip.Prefix{})))
		keep("cgroups", kubelet.RemoveCgroups("/"+c.ID()))
	}
	for _, dir := range []string{c.DataDir, c.RunDir()} {
		keep("mounts", containerd.UnmountBelow(dir))
	}
	if len(errs) > 0 {
		return errors.Join(errs...) // the files are needed to try again
	}
	if err := os.RemoveAll(c.RunDir()); err != nil {
		return err
	}
	return c.removeFiles()
}

// removeFiles empties the data directory of what is ours, and removes it when
// nothing of anybody else's is in it.
func (c *Config) removeFiles() error {
	for _, name := range []string{"pki", "store", "containerd", "containerd.log", "cni", "registries", "kubelet", "logs", "manifests", "podnet", "admin.kubeconfig", "skiff.log", "lock", "config.json"} {
		if err := os.RemoveAll(filepath.Join(c.DataDir, name)); err != nil {
			return err
		}
	}
	err := os.Remove(c.DataDir)
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
