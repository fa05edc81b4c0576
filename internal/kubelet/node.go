package kubelet

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/skiff-k8s/skiff/internal/client"
)

// machine is what this host is.
type machine struct {
	cpus                             int
	memory                           int64
	machineID, systemUUID, bootID    string
	kernel, osImage, operatingSystem string
}

func readMachine() (machine, error) {
	m := machine{cpus: runtime.NumCPU(), operatingSystem: runtime.GOOS}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return m, err
	}
	m.memory = int64(info.Totalram) * int64(info.Unit)
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return m, err
	}
	m.kernel = unix.ByteSliceToString(uts.Release[:])
	m.machineID = readLine("/etc/machine-id")
	m.systemUUID = readLine("/sys/class/dmi/id/product_uuid")
	if m.systemUUID == "" {
		m.systemUUID = m.machineID
	}
	m.bootID = readLine("/proc/sys/kernel/random/boot_id")
	m.osImage = "Linux"
	b, _ := os.ReadFile("/etc/os-release")
	for _, line := range strings.Split(string(b), "\n") {
		if v, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			m.osImage = strings.Trim(v, `"`)
		}
	}
	return m, nil
}

func readLine(file string) string {
	b, _ := os.ReadFile(file)
	return strings.TrimSpace(string(b))
}

// statusEvery is how often an unchanged node status is written.
const statusEvery = 5 * time.Minute

// runNode registers the node and keeps its status true.
func (k *Kubelet) runNode(ctx context.Context) error {
	registered := false
	for {
		wait := 10 * time.Second
		conditions := k.nodeConditions(ctx)
		var err error
		if !registered {
			if err = k.register(ctx); err == nil {
				registered = true
				k.nodeEvent(corev1.EventTypeNormal, "Starting", "Starting kubelet.")
			}
		}
		if err == nil {
			err = k.writeNode(ctx, conditions)
		}
		ready := err == nil && conditions[len(conditions)-1].Status == corev1.ConditionTrue
		if ready {
			select {
			case <-k.ready:
			default:
				close(k.ready)
				k.nodeEvent(corev1.EventTypeNormal, "NodeReady", fmt.Sprintf("Node %s status is now: NodeReady", k.NodeName))
			}
		} else {
			// A conflict is the normal way to learn that a controller was faster.
			if err != nil && !apierrors.IsConflict(err) {
				k.Log.Error("node status", "err", err)
			}
			wait = 50 * time.Millisecond
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
}

func (k *Kubelet) nodeEvent(kind, reason, message string) {
	// Upstream's node events refer to the node by name also where the UID belongs.
	n := &corev1.Node{}
	n.Name, n.UID = k.NodeName, types.UID(k.NodeName)
	n.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Node"))
	k.Events.RecordFrom("kubelet", k.NodeName, n, "", kind, reason, message)
}

// register creates the Node, or brings labels of ours up to date on the one that is there.
func (k *Kubelet) register(ctx context.Context) error {
	labels := map[string]string{
		"beta.kubernetes.io/arch": runtime.GOARCH, "beta.kubernetes.io/os": runtime.GOOS,
		corev1.LabelArchStable: runtime.GOARCH, corev1.LabelOSStable: runtime.GOOS, corev1.LabelHostname: k.NodeName,
	}
	maps.Copy(labels, k.NodeLabels)
	have, err := client.Get[*corev1.Node](ctx, k.Client, "", k.NodeName)
	if apierrors.IsNotFound(err) {
		_, err = client.Create(ctx, k.Client, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: k.NodeName, Labels: labels, Annotations: map[string]string{"volumes.kubernetes.io/controller-managed-attach-detach": "true"}},
			Spec:       corev1.NodeSpec{Taints: k.Taints},
		})
		return err
	}
	if err != nil {
		return err
	}
	n := have.DeepCopy()
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	maps.Copy(n.Labels, labels)
	if equality.Semantic.DeepEqual(n.Labels, have.Labels) {
		return nil
	}
	_, err = client.Update(ctx, k.Client, n)
	return err
}

// writeNode writes the node's status if it changed, or was not written for long.
func (k *Kubelet) writeNode(ctx context.Context, conditions []corev1.NodeCondition) error {
	have, err := client.Get[*corev1.Node](ctx, k.Client, "", k.NodeName)
	if err != nil {
		return err
	}
	n := have.DeepCopy()
	k.fillNode(ctx, &n.Status)
	now := metav1.Now()
	changed := !equality.Semantic.DeepEqual(stripConditions(have.Status), stripConditions(n.Status))
	var out []corev1.NodeCondition
	for _, c := range conditions {
		c.LastHeartbeatTime, c.LastTransitionTime = now, now
		i := slices.IndexFunc(have.Status.Conditions, func(o corev1.NodeCondition) bool { return o.Type == c.Type })
		if i >= 0 {
			old := have.Status.Conditions[i]
			if old.Status == c.Status {
				c.LastTransitionTime = old.LastTransitionTime
			}
			changed = changed || old.Status != c.Status || old.Reason != c.Reason || now.Sub(old.LastHeartbeatTime.Time) > statusEvery
		} else {
			changed = true
		}
		if i < 0 || have.Status.Conditions[i].Status != c.Status {
			if c.Type != corev1.NodeReady {
				k.nodeEvent(corev1.EventTypeNormal, "Node"+strings.TrimPrefix(c.Reason, "Kubelet"), fmt.Sprintf("Node %s status is now: Node%s", k.NodeName, strings.TrimPrefix(c.Reason, "Kubelet")))
			}
		}
		out = append(out, c)
	}
	if !changed {
		return nil
	}
	for _, old := range have.Status.Conditions {
		if !slices.ContainsFunc(out, func(c corev1.NodeCondition) bool { return c.Type == old.Type }) {
			out = append([]corev1.NodeCondition{old}, out...)
		}
	}
	n.Status.Conditions = out
	_, err = client.UpdateStatus(ctx, k.Client, n)
	return err
}

func stripConditions(s corev1.NodeStatus) corev1.NodeStatus {
	s.Conditions = nil
	return s
}

func (k *Kubelet) fillNode(ctx context.Context, s *corev1.NodeStatus) {
	var st unix.Statfs_t
	disk := int64(0)
	if unix.Statfs(k.RootDir, &st) == nil {
		disk = int64(st.Blocks) * st.Bsize
	}
	memory := resource.NewQuantity(k.machine.memory/1024*1024, resource.BinarySI)
	s.Capacity = corev1.ResourceList{
		corev1.ResourceCPU: *resource.NewQuantity(int64(k.machine.cpus), resource.DecimalSI), corev1.ResourceMemory: *memory,
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(disk/1024*1024, resource.BinarySI), corev1.ResourcePods: *resource.NewQuantity(110, resource.DecimalSI),
		"hugepages-2Mi": hugepages("2048kB", 2<<20), "hugepages-1Gi": hugepages("1048576kB", 1<<30),
	}
	s.Allocatable = s.Capacity.DeepCopy()
	// What eviction keeps free: 100 MiB of memory, a tenth of the disk.
	s.Allocatable[corev1.ResourceMemory] = *resource.NewQuantity(memory.Value()-100<<20, resource.BinarySI)
	s.Allocatable[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(disk/1024*1024*9/10, resource.DecimalSI)
	s.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: k.NodeIP}, {Type: corev1.NodeHostName, Address: k.NodeName}}
	s.DaemonEndpoints.KubeletEndpoint.Port = 10250
	version := "containerd://unknown"
	if v, err := k.Runtime.Version(ctx, &runtimeapi.VersionRequest{}); err == nil {
		version = v.RuntimeName + "://" + strings.TrimPrefix(v.RuntimeVersion, "v")
	}
	s.NodeInfo = corev1.NodeSystemInfo{
		MachineID: k.machine.machineID, SystemUUID: k.machine.systemUUID, BootID: k.machine.bootID, KernelVersion: k.machine.kernel,
		OSImage: k.machine.osImage, ContainerRuntimeVersion: version, KubeletVersion: k.Version, OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH,
	}
	s.Images = k.nodeImages(ctx)
}

func hugepages(size string, bytes int64) resource.Quantity {
	n, _ := strconv.ParseInt(readLine("/sys/kernel/mm/hugepages/hugepages-"+size+"/nr_hugepages"), 10, 64)
	return *resource.NewQuantity(n*bytes, resource.BinarySI)
}

// nodeImages are the fifty largest images of the node.
func (k *Kubelet) nodeImages(ctx context.Context) []corev1.ContainerImage {
	resp, err := k.Images.ListImages(ctx, &runtimeapi.ListImagesRequest{})
	if err != nil {
		return nil
	}
	var out []corev1.ContainerImage
	for _, img := range resp.Images {
		names := append(slices.Clone(img.RepoDigests), img.RepoTags...)
		if len(names) > 0 {
			out = append(out, corev1.ContainerImage{Names: names[:min(len(names), 5)], SizeBytes: int64(img.Size)})
		}
	}
	slices.SortFunc(out, func(a, b corev1.ContainerImage) int {
		if a.SizeBytes != b.SizeBytes {
			return int(b.SizeBytes - a.SizeBytes)
		}
		return strings.Compare(a.Names[0], b.Names[0])
	})
	return out[:min(len(out), 50)]
}

// nodeConditions are the node's conditions as they are now; Ready is the last.
func (k *Kubelet) nodeConditions(ctx context.Context) []corev1.NodeCondition {
	condition := func(t corev1.NodeConditionType, bad bool, okReason, okMessage, badReason, badMessage string) corev1.NodeCondition {
		if bad {
			return corev1.NodeCondition{Type: t, Status: corev1.ConditionTrue, Reason: badReason, Message: badMessage}
		}
		return corev1.NodeCondition{Type: t, Status: corev1.ConditionFalse, Reason: okReason, Message: okMessage}
	}
	out := []corev1.NodeCondition{
		condition(corev1.NodeMemoryPressure, memoryAvailable() < 100<<20, "KubeletHasSufficientMemory", "kubelet has sufficient memory available", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
		condition(corev1.NodeDiskPressure, diskUsed(k.RootDir) > 90, "KubeletHasNoDiskPressure", "kubelet has no disk pressure", "KubeletHasDiskPressure", "kubelet has disk pressure"),
		condition(corev1.NodePIDPressure, false, "KubeletHasSufficientPID", "kubelet has sufficient PID available", "KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
	}
	ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status"}
	if why := k.notReady(ctx); why != "" {
		ready.Status, ready.Reason, ready.Message = corev1.ConditionFalse, "KubeletNotReady", why
	}
	return append(out, ready)
}

// notReady is what keeps the node from running pods; empty when nothing does.
func (k *Kubelet) notReady(ctx context.Context) string {
	st, err := k.Runtime.Status(ctx, &runtimeapi.StatusRequest{})
	if err != nil {
		return "container runtime is down: " + err.Error()
	}
	var why []string
	for _, c := range st.Status.Conditions {
		switch {
		case c.Status:
		case c.Type == runtimeapi.RuntimeReady:
			why = append(why, fmt.Sprintf("container runtime not ready: %s=false reason:%s message:%s", c.Type, c.Reason, c.Message))
		case c.Type == runtimeapi.NetworkReady:
			why = append(why, fmt.Sprintf("container runtime network not ready: %s=false reason:%s message:%s", c.Type, c.Reason, c.Message))
		}
	}
	return strings.Join(why, ", ")
}

func memoryAvailable() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 1 << 62
	}
	for _, line := range strings.Split(string(b), "\n") {
		if v, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			return n << 10
		}
	}
	return 1 << 62
}

// diskUsed is how full, in percent, the file system of a directory is.
func diskUsed(dir string) int {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil || st.Blocks == 0 {
		return 0
	}
	return int(100 - st.Bavail*100/st.Blocks)
}

const (
	leaseSeconds = 40
	leaseRenewal = 10 * time.Second
)

// runLease renews the node's lease, by which the control plane knows that the node lives.
func (k *Kubelet) runLease(ctx context.Context) error {
	for {
		err := k.renewLease(ctx)
		wait := leaseRenewal
		if err != nil && ctx.Err() == nil {
			k.Log.Error("renew the node's lease", "err", err)
			wait = time.Second
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
}

func (k *Kubelet) renewLease(ctx context.Context) error {
	now := metav1.NowMicro()
	have, err := client.Get[*coordinationv1.Lease](ctx, k.Client, corev1.NamespaceNodeLease, k.NodeName)
	if apierrors.IsNotFound(err) {
		seconds := int32(leaseSeconds)
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: k.NodeName, Namespace: corev1.NamespaceNodeLease},
			Spec: coordinationv1.LeaseSpec{HolderIdentity: &k.NodeName, LeaseDurationSeconds: &seconds, RenewTime: &now}}
		if n, err := client.Get[*corev1.Node](ctx, k.Client, "", k.NodeName); err == nil {
			l.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: n.Name, UID: n.UID}}
		} else if apierrors.IsNotFound(err) {
			return nil // the node registers first
		}
		_, err = client.Create(ctx, k.Client, l)
		return err
	}
	if err != nil {
		return err
	}
	l := have.DeepCopy()
	l.Spec.RenewTime = &now
	_, err = client.Update(ctx, k.Client, l)
	return err
}
