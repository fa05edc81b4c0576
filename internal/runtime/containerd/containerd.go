// Package containerd runs the built-in container runtime: a containerd of our
// own, with its own root, state and socket, as a child that outlives us. In goes a set of paths
// (Options); out comes a CRI socket that answers, with the sandbox image in place.
//
// Invariants:
//   - containerd and the containers go on when Skiff ends, however it ends; a Skiff
//     that comes back adopts the one that runs, and never starts a second one;
//   - a process is ours when it runs a program called containerd with our
//     configuration file: a pid file alone proves nothing;
//   - what it makes on the host lies below Options.Root and Options.State, and Cleanup
//     finds it all, also after a kill -9 or a start that did not finish.
//
// Read config.go (what it is told), containerd.go (start, adopt, supervise, stop), process.go (which
// process it is, when it ends), image.go (images without a registry), cleanup.go (what reset removes).
package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skiff-k8s/skiff/internal/runtime"
)

// Daemon is a running containerd.
type Daemon struct {
	Options
	mu   sync.Mutex
	proc *process
}

// Start adopts the running containerd or starts one, and returns when CRI answers
// and the sandbox image is there. The context bounds the start, not the life of containerd.
func Start(ctx context.Context, o Options) (*Daemon, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	changed, err := o.write()
	if err != nil {
		return nil, err
	}
	d := &Daemon{Options: o}
	if d.proc, err = o.find(); err != nil {
		return nil, err
	}
	if d.proc != nil {
		// Another configuration, or another program: containers do not notice when containerd is restarted.
		if changed || d.proc.outdated(o.BinDir) {
			o.log().Info("containerd runs with another configuration or version, starting it anew", "pid", d.proc.pid)
			if err := d.proc.stop(ctx); err != nil {
				return nil, err
			}
			d.proc = nil
		} else {
			o.log().Info("containerd is running already, adopting it", "pid", d.proc.pid)
		}
	}
	if d.proc == nil {
		if d.proc, err = o.spawn(); err != nil {
			return nil, err
		}
	}
	return d, d.ready(ctx)
}

// Pid is the process of containerd.
func (d *Daemon) Pid() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.proc.pid
}

// Supervise starts containerd again whenever it ends: after 100 ms, 200 ms, … up
// to 30 s, and from the beginning of that row when it ran for a minute. It returns when the context ends, and
// leaves containerd running.
func (d *Daemon) Supervise(ctx context.Context) error {
	wait := 100 * time.Millisecond
	for {
		began := time.Now()
		select {
		case <-d.proc.done:
		case <-ctx.Done():
			return nil
		}
		if time.Since(began) > time.Minute {
			wait = 100 * time.Millisecond
		}
		d.log().Error("containerd ended, starting it again", "after", wait, "said", d.lastWords(), "log", d.LogFile)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, 30*time.Second)
		proc, err := d.spawn()
		if err != nil {
			return err
		}
		d.mu.Lock()
		d.proc = proc
		d.mu.Unlock()
	}
}

// Stop ends containerd, if it runs; end Supervise first. Containers go on: Cleanup ends them.
func (o *Options) Stop(ctx context.Context) error {
	p, err := o.find()
	if p != nil {
		err = p.stop(ctx)
	}
	if err != nil {
		return err
	}
	if err := os.Remove(o.pidFile()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// spawn starts the program in a session of its own, so that signals to ours do
// not reach it, with its output in a file, which goes on when we do not.
func (o *Options) spawn() (*process, error) {
	logFile, err := o.openLog()
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	bin := filepath.Join(o.BinDir, "containerd")
	cmd := exec.Command(bin, "--config", o.configFile(), "--log-level", "warn")
	cmd.Stdout, cmd.Stderr = logFile, logFile
	// Our own directory first: a system's containerd may have left an older shim in
	// PATH. Children of the shim see this environment, so nothing of ours goes into it.
	cmd.Env = []string{"PATH=" + o.BinDir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "GODEBUG"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("the container runtime %s is missing: `make build` puts it there", bin)
		}
		return nil, fmt.Errorf("start the container runtime: %w", err)
	}
	p := &process{pid: cmd.Process.Pid, done: make(chan struct{})}
	go func() {
		cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	return p, os.WriteFile(o.pidFile(), []byte(strconv.Itoa(p.pid)+"\n"), 0o644)
}

// maxLog is how large the log may be when containerd is started; the older part is kept once.
const maxLog = 8 << 20

func (o *Options) openLog() (*os.File, error) {
	if fi, err := os.Stat(o.LogFile); err == nil && fi.Size() > maxLog {
		if err := os.Rename(o.LogFile, o.LogFile+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(o.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
}

// ready waits until CRI answers and provides the sandbox image. It does not wait
// for a containerd that has ended.
func (d *Daemon) ready(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-d.proc.done:
			cancel(fmt.Errorf("containerd ended at its start: %s (more in %s)", d.lastWords(), d.LogFile))
		case <-ctx.Done():
		}
	}()
	err := func() error {
		c, err := runtime.Dial(ctx, d.Socket())
		if err != nil {
			return err
		}
		defer c.Close()
		return ensurePause(ctx, c)
	}()
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// lastWords is the last line of the log that is not a warning.
func (o *Options) lastWords() string {
	f, err := os.Open(o.LogFile)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, 8<<10)
	if fi, err := f.Stat(); err == nil && fi.Size() > int64(len(b)) {
		f.Seek(-int64(len(b)), 2)
	}
	n, _ := f.Read(b)
	last := []byte{}
	for line := range bytes.Lines(b[:n]) {
		if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.Contains(line, []byte("level=warning")) {
			last = line
		}
	}
	return string(last)
}

// kill sends SIGKILL; a process that is gone already is no error.
func kill(p *os.Process) error {
	if err := p.Signal(unix.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
