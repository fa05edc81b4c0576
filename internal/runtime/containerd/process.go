package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is a containerd of ours: a child, or one that an earlier Skiff started.
type process struct {
	pid  int
	done chan struct{} // closed when it has ended
}

// find returns the running containerd of these options, nil when there is none.
// The pid file is a hint; a start that was killed before it wrote one is found among all processes.
func (o *Options) find() (*process, error) {
	if b, err := os.ReadFile(o.pidFile()); err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && o.owns(pid) {
			return o.adopt(pid)
		}
	}
	pids, err := processes(o.owns)
	if err != nil || len(pids) == 0 {
		return nil, err
	}
	return o.adopt(pids[0])
}

// owns reports whether a process is our containerd.
func (o *Options) owns(pid int) bool {
	args := cmdline(pid)
	if len(args) < 3 || filepath.Base(string(args[0])) != "containerd" {
		return false
	}
	for i := 1; i+1 < len(args); i++ {
		if string(args[i]) == "--config" && string(args[i+1]) == o.configFile() {
			exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
			return err == nil && strings.HasPrefix(filepath.Base(exe), "containerd")
		}
	}
	return false
}

// adopt watches a process that is not our child. nil, nil when it ended meanwhile.
func (o *Options) adopt(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("watch containerd, process %d: %w", pid, err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	// The descriptor holds on to the process: what is ours now is not replaced by another one below.
	if !o.owns(pid) {
		return nil, f.Close()
	}
	p := &process{pid: pid, done: make(chan struct{})}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	go func() {
		defer close(p.done)
		defer f.Close()
		// Read parks the goroutine in the runtime's poller: no thread waits.
		raw.Read(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
		})
	}()
	return p, nil
}

// outdated reports whether the program was replaced since it was started.
func (p *process) outdated(binDir string) bool {
	now, err := os.Stat(filepath.Join(binDir, "containerd"))
	if err != nil {
		return false // nothing to replace it with
	}
	then, err := os.Stat(fmt.Sprintf("/proc/%d/exe", p.pid))
	return err == nil && !os.SameFile(now, then)
}

// stop asks the process to end, insists after ten seconds, and returns when it has ended.
func (p *process) stop(ctx context.Context) error {
	proc, err := os.FindProcess(p.pid) // holds a pidfd
	if err != nil {
		return err
	}
	defer proc.Release()
	select {
	case <-p.done: // the number may be another process's by now
		return nil
	default:
	}
	if err := proc.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop containerd, process %d: %w", p.pid, err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
	}
	if err := kill(proc); err != nil {
		return fmt.Errorf("kill containerd, process %d: %w", p.pid, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("containerd, process %d, does not end", p.pid)
	}
}

// processes are those of the host that match.
func processes(match func(pid int) bool) ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && match(pid) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// cmdline is empty for a process that has ended, waited for or not.
func cmdline(pid int) [][]byte {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(b) == 0 {
		return nil
	}
	return bytes.Split(bytes.TrimSuffix(b, []byte{0}), []byte{0})
}
