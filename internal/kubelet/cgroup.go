package kubelet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/resource"
)

// cgroups makes and removes the cgroups of pods: ROOT/[burstable|besteffort/]podUID,
// in every hierarchy of version 1 or in the one of version 2. The runtime puts containers below.
type cgroups struct {
	root        string   // "/skiff-1a2b3c/kubepods"
	hierarchies []string // mount points
	unified     bool
}

const cgroupMount = "/sys/fs/cgroup"

func openCgroups(root string) (cgroups, error) {
	c := cgroups{root: root}
	if _, err := os.Stat(filepath.Join(cgroupMount, "cgroup.controllers")); err == nil {
		c.unified, c.hierarchies = true, []string{cgroupMount}
		return c, nil
	}
	es, err := os.ReadDir(cgroupMount)
	if err != nil {
		return c, fmt.Errorf("this host has no cgroups at %s: %w", cgroupMount, err)
	}
	for _, e := range es {
		p := filepath.Join(cgroupMount, e.Name())
		// Links stand for hierarchies that are there under another name too.
		if e.Type()&os.ModeSymlink != 0 || e.Name() == "unified" && !hasFile(p, "cgroup.procs") {
			continue
		}
		if hasFile(p, "cgroup.procs") {
			c.hierarchies = append(c.hierarchies, p)
		}
	}
	if len(c.hierarchies) == 0 {
		return c, fmt.Errorf("no cgroup hierarchy is mounted below %s", cgroupMount)
	}
	return c, nil
}

func hasFile(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// parent is the cgroup of a pod.
func (c cgroups) parent(pod *corev1.Pod) string {
	switch pod.Status.QOSClass {
	case corev1.PodQOSGuaranteed:
		return filepath.Join(c.root, "pod"+string(pod.UID))
	case corev1.PodQOSBurstable:
		return filepath.Join(c.root, "burstable", "pod"+string(pod.UID))
	}
	return filepath.Join(c.root, "besteffort", "pod"+string(pod.UID))
}

// make creates the pod's cgroup with what the pod as a whole may use.
func (c cgroups) make(pod *corev1.Pod) error {
	dir := c.parent(pod)
	for _, h := range c.hierarchies {
		if err := c.mkdir(h, dir); err != nil {
			return err
		}
	}
	requests := resource.PodRequests(pod, resource.PodResourcesOptions{})
	limits := resource.PodLimits(pod, resource.PodResourcesOptions{})
	shares := cpuShares(requests.Cpu().MilliValue())
	limited := func(name corev1.ResourceName) bool {
		for i := range pod.Spec.Containers {
			if _, ok := pod.Spec.Containers[i].Resources.Limits[name]; !ok {
				return false
			}
		}
		return true
	}
	if c.unified {
		// The kernel's weights from Docker's shares, as runtimes convert them.
		c.set("", dir, "cpu.weight", 1+((shares-2)*9999)/262142)
		if limited(corev1.ResourceMemory) {
			c.set("", dir, "memory.max", limits.Memory().Value())
		}
		return nil
	}
	c.set("cpu", dir, "cpu.shares", shares)
	if limited(corev1.ResourceCPU) {
		c.set("cpu", dir, "cpu.cfs_quota_us", cpuQuota(limits.Cpu().MilliValue()))
	}
	if limited(corev1.ResourceMemory) {
		c.set("memory", dir, "memory.limit_in_bytes", limits.Memory().Value())
	}
	return nil
}

// mkdir makes a cgroup and those above it; a version 2 hierarchy passes its controllers on.
func (c cgroups) mkdir(mount, dir string) error {
	at := mount
	for _, part := range strings.Split(strings.Trim(dir, "/"), "/") {
		if c.unified {
			if b, err := os.ReadFile(filepath.Join(at, "cgroup.controllers")); err == nil {
				for _, name := range strings.Fields(string(b)) {
					// Some cannot be passed on; containers then do without.
					os.WriteFile(filepath.Join(at, "cgroup.subtree_control"), []byte("+"+name), 0o644)
				}
			}
		}
		at = filepath.Join(at, part)
		if err := os.Mkdir(at, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if strings.Contains(mount, "cpuset") {
			// A new cpuset is empty, and nothing can run in it, until it is told what it may use.
			for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
				inherit(at, f)
			}
		}
	}
	return nil
}

func inherit(dir, file string) {
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil || len(strings.TrimSpace(string(b))) > 0 {
		return
	}
	if up, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file)); err == nil {
		os.WriteFile(filepath.Join(dir, file), up, 0o644)
	}
}

// set writes a control file of the hierarchy that has it.
func (c cgroups) set(controller, dir, file string, value int64) {
	for _, h := range c.hierarchies {
		p := filepath.Join(h, dir, file)
		if controller != "" && !strings.Contains(filepath.Base(h), controller) {
			continue
		}
		if _, err := os.Stat(p); err == nil {
			os.WriteFile(p, []byte(strconv.FormatInt(value, 10)), 0o644)
			return
		}
	}
}

// remove removes the pod's cgroup in every hierarchy; runtimes remove only their own leaf.
func (c cgroups) remove(uid types.UID) {
	for _, class := range []string{"", "burstable", "besteffort"} {
		for _, h := range c.hierarchies {
			removeTree(filepath.Join(h, c.root, class, "pod"+string(uid)))
		}
	}
}

// removeTree removes a cgroup and those below it.
func removeTree(dir string) {
	es, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range es {
		if e.IsDir() {
			removeTree(filepath.Join(dir, e.Name()))
		}
	}
	os.Remove(dir)
}

// RemoveCgroups removes all that is left below a cgroup root.
func RemoveCgroups(root string) error {
	c, err := openCgroups(root)
	if err != nil {
		return err
	}
	for _, h := range c.hierarchies {
		removeTree(filepath.Join(h, root))
	}
	return nil
}
