package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/skiff-k8s/skiff/internal/cluster"
)

// up starts the whole node, detached, and returns when it is Ready. The process
// that stays is this program once more, told by --foreground.
func up() *cobra.Command {
	cfg := &cluster.Config{}
	foreground := false
	c := &cobra.Command{
		Use: "up", Short: "Start a cluster on this host: control plane, node and network", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if foreground {
				return cluster.Run(c.Context(), cfg, c.ErrOrStderr(), progressTo(3))
			}
			return startDetached(c, cfg)
		},
	}
	configFlags(c, cfg)
	c.Flags().BoolVar(&foreground, "foreground", false, "stay in the foreground and log to standard error")
	return c
}

// step is a line of progress between the two processes.
type step struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took"`
}

// progressTo writes steps to an inherited descriptor, if there is one.
func progressTo(fd uintptr) cluster.Progress {
	if os.Getenv("SKIFF_PROGRESS") == "" {
		return nil
	}
	// Nothing that is started from here may keep the other end waiting.
	syscall.CloseOnExec(int(fd))
	out := os.NewFile(fd, "progress")
	return func(name string, took time.Duration) {
		if name == "" {
			out.Close()
			return
		}
		json.NewEncoder(out).Encode(step{name, took})
	}
}

func startDetached(c *cobra.Command, cfg *cluster.Config) error {
	out := c.OutOrStdout()
	if err := cfg.Complete(); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("starting a node needs root: run it with sudo (`skiff server` runs a control plane without)")
	}
	if pid := cfg.Pid(); pid != 0 {
		fmt.Fprintf(out, "skiff is running already (pid %d)\n", pid)
		return finish(out, cfg)
	}
	began := time.Now()
	if err := os.MkdirAll(cfg.DataDir, 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(cfg.LogFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	from, _ := log.Seek(0, io.SeekEnd)
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, append([]string{"up", "--foreground"}, arguments(cfg)...)...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{w}
	cmd.Env = append(os.Environ(), "SKIFF_PROGRESS=1")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	w.Close()
	ready := false
	for in := bufio.NewScanner(r); in.Scan(); {
		var s step
		if json.Unmarshal(in.Bytes(), &s) == nil {
			fmt.Fprintf(out, "  %6.2fs  %s\n", s.Took.Seconds(), s.Name)
			ready = s.Name == "node Ready"
		}
	}
	if !ready {
		cmd.Wait()
		return fmt.Errorf("the start failed: %s", lastWords(cfg.LogFile(), from))
	}
	fmt.Fprintf(out, "  %6.2fs  in all\n", time.Since(began).Seconds())
	return finish(out, cfg)
}

// arguments are the flags that make another process start the same instance.
func arguments(cfg *cluster.Config) []string {
	return []string{
		"--data-dir", cfg.DataDir, "--bind-address", cfg.BindAddress, "--secure-port", fmt.Sprint(cfg.SecurePort),
		"--node-name", cfg.NodeName, "--node-ip", cfg.NodeIP, "--service-cidr", cfg.ServiceCIDR, "--pod-network-cidr", cfg.PodNetworkCIDR,
		"--cluster-domain", cfg.ClusterDomain, "--container-runtime-endpoint", cfg.ContainerRuntimeEndpoint, "--verbosity", fmt.Sprint(cfg.Verbosity),
	}
}

// lastWords is the last line that the process that failed wrote.
func lastWords(file string, from int64) string {
	f, err := os.Open(file)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	f.Seek(from, io.SeekStart)
	last := "it said nothing; see " + file
	for in := bufio.NewScanner(f); in.Scan(); {
		if in.Text() != "" {
			last = in.Text()
		}
	}
	return last
}

// finish makes kubectl know the cluster and says what to type next.
func finish(out io.Writer, cfg *cluster.Config) error {
	file, err := cfg.MergeKubeconfig()
	if err != nil {
		// The cluster runs; only the user's kubeconfig is as it was.
		fmt.Fprintf(out, "\nthe context \"skiff\" was not added to your kubeconfig: %v\n", err)
		file = cfg.AdminKubeconfig()
	}
	fmt.Fprintf(out, `
The cluster is ready; the context "skiff" is in %s. Try:

  kubectl --context skiff get nodes
  kubectl --context skiff create deployment hello --image=nginx --replicas=3
  kubectl --context skiff expose deployment hello --port=80

(no kubectl? "skiff kubectl" runs the one that was built with it)
`, file)
	return nil
}
