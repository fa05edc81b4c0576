package cluster

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/skiff-k8s/skiff/internal/runtime"
)

// Status is what `skiff status` prints.
type Status struct {
	Running bool
	Server  string
	Parts   []PartStatus
}

// PartStatus is one process, or what stands for one.
type PartStatus struct{ Name, State, Version, Pid, Memory, Since string }

// Status looks at the instance from outside.
func (c *Config) Status(ctx context.Context) Status {
	s := Status{Server: fmt.Sprintf("https://%s:%d", c.NodeIP, c.SecurePort)}
	own := PartStatus{Name: "skiff", State: "stopped", Version: Version}
	if pid := c.Pid(); pid != 0 {
		s.Running = true
		own = processStatus("skiff", pid)
		own.Version = Version + " (Kubernetes " + KubernetesVersion + ")"
	}
	s.Parts = append(s.Parts, own)
	if c.ControlPlaneOnly {
		return s
	}
	rt := PartStatus{Name: "runtime", State: "stopped"}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := os.Stat(strings.TrimPrefix(c.RuntimeEndpoint(), "unix://")); err == nil {
		if client, err := runtime.Dial(ctx, c.RuntimeEndpoint()); err == nil {
			defer client.Close()
			rt.State = "running"
			b, err := os.ReadFile(c.RunDir() + "/c/containerd.pid")
			if pid, perr := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && perr == nil {
				rt = processStatus("runtime", pid)
			}
			if v, err := client.Runtime.Version(ctx, &runtimeapi.VersionRequest{}); err == nil {
				rt.Version = v.RuntimeName + " " + v.RuntimeVersion
			}
			if boxes, err := client.Runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{Filter: &runtimeapi.PodSandboxFilter{State: &runtimeapi.PodSandboxStateValue{}}}); err == nil {
				s.Parts = append(s.Parts, PartStatus{Name: "pods", State: fmt.Sprintf("%d running", len(boxes.Items))})
			}
		}
	}
	s.Parts = append(s.Parts, rt)
	return s
}

func processStatus(name string, pid int) PartStatus {
	p := PartStatus{Name: name, State: "running", Pid: strconv.Itoa(pid)}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, line := range strings.Split(string(b), "\n") {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(v), " kB"))
			p.Memory = fmt.Sprintf("%d MiB", kb/1024)
		}
	}
	if st, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
		p.Since = duration.HumanDuration(time.Since(st.ModTime())) + " ago"
	}
	return p
}
