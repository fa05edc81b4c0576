package containerd

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Cleanup removes everything that a containerd of ours made on the host. It is
// called with containerd stopped, works after any kind of end, and may be repeated.
func (o *Options) Cleanup() error {
	if err := o.killShims(); err != nil {
		return err
	}
	for _, dir := range []string{o.State, o.Root} {
		if err := UnmountBelow(dir); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// killShims ends the shims of this instance, and with them their containers. A
// shim is known by the address of its containerd on its command line.
func (o *Options) killShims() error {
	for range 100 {
		pids, err := o.shims()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, shim := range pids {
			for _, child := range descendants(shim) {
				kill(child)
			}
			kill(shim)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("some containers could not be ended")
}

func kill(pid int) { unix.Kill(pid, unix.SIGKILL) }

func (o *Options) shims() ([]int, error) {
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var out []int
	mark := []byte("\x00" + o.Socket() + "\x00")
	for _, p := range procs {
		b, err := os.ReadFile(p)
		if err != nil || !bytes.Contains(b, mark) || !bytes.Contains(b, []byte("containerd-shim")) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(p, "/")[2]); err == nil {
			out = append(out, pid)
		}
	}
	return out, nil
}

// descendants are the processes below pid, deepest first.
func descendants(pid int) []int {
	var out []int
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, t := range tasks {
		b, _ := os.ReadFile(t)
		for _, f := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(f); err == nil {
				out = append(append(out, descendants(child)...), child)
			}
		}
	}
	return out
}

// UnmountBelow unmounts everything at or below dir, the deepest first.
func UnmountBelow(dir string) error {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var points []string
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		p := unescape(f[4])
		if p == dir || strings.HasPrefix(p, dir+"/") {
			points = append(points, p)
		}
	}
	slices.Reverse(points)
	for _, p := range points {
		if err := unix.Unmount(p, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return &os.PathError{Op: "unmount", Path: p, Err: err}
		}
	}
	return nil
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
