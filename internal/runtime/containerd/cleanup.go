package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Cleanup ends containerd and all its containers and removes everything that they
// made on the host, images included. It may be repeated, and works after any kind of end.
func (o *Options) Cleanup(ctx context.Context) error {
	if err := o.validate(); err != nil {
		return err
	}
	if err := o.Stop(ctx); err != nil {
		return err
	}
	if err := o.endContainers(ctx); err != nil {
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
	for _, file := range []string{o.conflistFile(), o.LogFile, o.LogFile + ".1"} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// endContainers kills shims, what runs below them, and whatever else is in the
// cgroups of pods, until nothing is left.
func (o *Options) endContainers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		shims, err := processes(o.isShim)
		if err != nil {
			return err
		}
		// A killed shim's containers become children of another process: children first.
		for _, shim := range shims {
			for _, child := range descendants(shim) {
				killIf(child, func(int) bool { return true })
			}
			killIf(shim, o.isShim)
		}
		left, err := removeCgroups(o.CgroupParent)
		if err != nil {
			return err
		}
		if len(shims) == 0 && left == 0 {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("containers do not end: %d shims, %d cgroups are left", len(shims), left)
		}
	}
}

// isShim knows a shim of ours by the address of its containerd on its command line.
func (o *Options) isShim(pid int) bool {
	args := cmdline(pid)
	if len(args) == 0 || !strings.HasPrefix(filepath.Base(string(args[0])), "containerd-shim") {
		return false
	}
	return slices.ContainsFunc(args[1:], func(a []byte) bool { return bytes.Equal(a, []byte(o.Socket())) })
}

// killIf kills a process that still is what it was taken for.
func killIf(pid int, still func(int) bool) {
	p, err := os.FindProcess(pid) // holds a pidfd, so the check below is about the very process
	if err != nil {
		return
	}
	defer p.Release()
	if still(pid) {
		kill(p)
	}
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

// removeCgroups kills what is in the cgroup or below it, in every hierarchy, and
// removes the folders that are empty; left is how many were not.
func removeCgroups(parent string) (left int, err error) {
	if parent == "" || filepath.Clean(parent) == "/" {
		return 0, nil
	}
	mounts, err := mountPoints(func(fstype string) bool { return fstype == "cgroup" || fstype == "cgroup2" })
	if err != nil {
		return 0, err
	}
	for _, m := range mounts {
		var dirs []string
		filepath.WalkDir(filepath.Join(m, parent), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil // what vanishes meanwhile is what we want
		})
		slices.Reverse(dirs) // a folder comes after what is in it
		for _, dir := range dirs {
			procs, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			for _, f := range strings.Fields(string(procs)) {
				if pid, err := strconv.Atoi(f); err == nil {
					killIf(pid, func(pid int) bool { return inCgroup(pid, parent) })
				}
			}
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				left++
			}
		}
	}
	return left, nil
}

func inCgroup(pid int, parent string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) == 3 && below(f[2], filepath.Clean("/"+parent)) {
			return true
		}
	}
	return false
}

// UnmountBelow unmounts everything at or below dir, what was mounted last first.
func UnmountBelow(dir string) error {
	points, err := mountPoints(nil)
	if err != nil {
		return err
	}
	slices.Reverse(points)
	for _, p := range points {
		if !below(p, dir) {
			continue
		}
		// Detached, since a process that is just ending may still be in it.
		if err := unix.Unmount(p, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return &os.PathError{Op: "unmount", Path: p, Err: err}
		}
	}
	return nil
}

func below(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// mountPoints of our mount namespace, in the order in which they were mounted.
func mountPoints(match func(fstype string) bool) ([]string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var points []string
	for line := range strings.Lines(string(b)) {
		mount, fs, _ := strings.Cut(line, " - ")
		f := strings.Fields(mount)
		fstype, _, _ := strings.Cut(fs, " ")
		if len(f) > 4 && (match == nil || match(fstype)) {
			points = append(points, unescape(f[4]))
		}
	}
	return points, nil
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
