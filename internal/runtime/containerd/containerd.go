// Package containerd runs the built-in container runtime: a containerd of our
// own, with its own root, state and socket, as a child that outlives us. A Skiff that comes
// back adopts the one that is running, and with it all containers.
//
// Read config.go (what it is told), containerd.go (start, adopt, supervise,
// stop), image.go (images without a registry), cleanup.go (what reset removes).
package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Daemon is a running containerd.
type Daemon struct {
	Options
	log *slog.Logger
}

// Start writes the configuration and adopts the running containerd, or starts one.
func Start(o Options, log *slog.Logger) (*Daemon, error) {
	if err := o.write(); err != nil {
		return nil, err
	}
	d := &Daemon{Options: o, log: log}
	if pid := d.Pid(); pid != 0 {
		log.Info("containerd is running already, adopting it", "pid", pid)
		return d, nil
	}
	return d, d.spawn()
}

// Pid is the process of our containerd; 0 when it does not run. A pid file may
// be left over, so the process is asked for its command line.
func (d *Options) Pid() int {
	b, err := os.ReadFile(d.pidFile())
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !bytes.Contains(cmdline, []byte("\x00"+d.configFile()+"\x00")) {
		return 0
	}
	return pid
}

func (d *Daemon) spawn() error {
	logFile, err := os.OpenFile(d.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer logFile.Close()
	bin := filepath.Join(d.BinDir, "containerd")
	cmd := exec.Command(bin, "--config", d.configFile(), "--log-level", "warn")
	cmd.Stdout, cmd.Stderr = logFile, logFile
	// Our own directory first: the shim is looked up in PATH, and a system's
	// containerd may have an older one there.
	cmd.Env = append(os.Environ(), "PATH="+d.BinDir+":"+os.Getenv("PATH"))
	cmd.Dir = "/"
	// A session of its own: signals to ours do not reach it.
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s is missing: `make build` puts it there", bin)
		}
		return err
	}
	pid := cmd.Process.Pid
	// While we live we are its parent, and must take note of its end.
	go cmd.Wait()
	return os.WriteFile(d.pidFile(), []byte(strconv.Itoa(pid)+"\n"), 0o644)
}

// Supervise starts containerd again whenever it ends, until the context does.
func (d *Daemon) Supervise(ctx context.Context) error {
	wait := 100 * time.Millisecond
	for {
		began := time.Now()
		if pid := d.Pid(); pid != 0 {
			if err := waitEnd(ctx, pid); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > time.Minute {
			wait = 100 * time.Millisecond
		}
		d.log.Error("containerd ended, starting it again", "after", wait, "log", d.LogFile)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, 30*time.Second)
		if err := d.spawn(); err != nil {
			return err
		}
	}
}

// waitEnd returns when the process ended, whether it is our child or adopted.
func waitEnd(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	// os.File puts the descriptor under the runtime's poller: no thread waits.
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { close(done) })
	defer stop()
	ended := make(chan error, 1)
	go func() {
		for {
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(p, 60_000)
			if n > 0 || err != nil && !errors.Is(err, unix.EINTR) || ctx.Err() != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-done:
		return nil
	}
}

// Stop ends containerd. Containers go on: end them first if they shall not.
func (o *Options) Stop(ctx context.Context) error {
	pid := o.Pid()
	if pid == 0 {
		return nil
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	waitEnd(short, pid)
	if o.Pid() != 0 {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		waitEnd(ctx, pid)
	}
	return os.Remove(o.pidFile())
}
