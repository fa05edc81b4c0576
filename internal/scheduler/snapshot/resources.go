package snapshot

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// What a container without a request counts as when nodes are scored, so that
// pods without requests spread too. Units: millicores, bytes.
const (
	defaultMilliCPU = 100
	defaultMemory   = 200 * 1024 * 1024
)

// Requests is what a pod asks for. CPU is in millicores, the rest in units of the resource.
type Requests struct {
	CPU, Memory, Ephemeral int64
	Scalars                []Amount
}

// Amount is how much of a further resource: extended ones, huge pages, …
type Amount struct {
	ID    int32 // see Snapshot.ScalarName
	Value int64
}

// Zero tells that nothing is asked for.
func (r *Requests) Zero() bool {
	return r.CPU == 0 && r.Memory == 0 && r.Ephemeral == 0 && len(r.Scalars) == 0
}

// Room is what a node has or what is used of it; Scalars is indexed by Amount.ID
// and may be shorter than there are resources.
type Room struct {
	CPU, Memory, Ephemeral int64
	Scalars                []int64
}

// Scalar is the amount of a further resource.
func (r *Room) Scalar(id int32) int64 {
	if int(id) < len(r.Scalars) {
		return r.Scalars[id]
	}
	return 0
}

func (r *Room) add(q *Requests, sign int64) {
	r.CPU += sign * q.CPU
	r.Memory += sign * q.Memory
	r.Ephemeral += sign * q.Ephemeral
	for _, a := range q.Scalars {
		for int(a.ID) >= len(r.Scalars) {
			r.Scalars = append(r.Scalars, 0)
		}
		r.Scalars[a.ID] += sign * a.Value
	}
}

// ScalarName is the name of a further resource.
func (s *Snapshot) ScalarName(id int32) string { return s.scalars[id] }

func (s *Snapshot) scalarID(name string) int32 {
	id, ok := s.scalarIDs[name]
	if !ok {
		id = int32(len(s.scalars))
		s.scalars = append(s.scalars, name)
		s.scalarIDs[name] = id
	}
	return id
}

// room reads what a node offers; pods is how many pods it takes.
func (s *Snapshot) room(list corev1.ResourceList) (r Room, pods int64) {
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			r.CPU = q.MilliValue()
		case corev1.ResourceMemory:
			r.Memory = q.Value()
		case corev1.ResourceEphemeralStorage:
			r.Ephemeral = q.Value()
		case corev1.ResourcePods:
			pods = q.Value()
		default:
			id := s.scalarID(string(name))
			for int(id) >= len(r.Scalars) {
				r.Scalars = append(r.Scalars, 0)
			}
			r.Scalars[id] = q.Value()
		}
	}
	return r, pods
}

func (s *Snapshot) requests(list corev1.ResourceList) (r Requests) {
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			r.CPU = q.MilliValue()
		case corev1.ResourceMemory:
			r.Memory = q.Value()
		case corev1.ResourceEphemeralStorage:
			r.Ephemeral = q.Value()
		case corev1.ResourcePods:
		default:
			if v := q.Value(); v != 0 {
				r.Scalars = append(r.Scalars, Amount{s.scalarID(string(name)), v})
			}
		}
	}
	return r
}

var nonZero = corev1.ResourceList{
	corev1.ResourceCPU:    *resource.NewMilliQuantity(defaultMilliCPU, resource.DecimalSI),
	corev1.ResourceMemory: *resource.NewQuantity(defaultMemory, resource.BinarySI),
}

// podRequests computes what the pod asks for, and its CPU and memory as scoring counts them.
func (s *Snapshot) podRequests(p *corev1.Pod) (r Requests, cpu, memory int64) {
	if plain(p) {
		list := p.Spec.Containers[0].Resources.Requests
		r = s.requests(list)
		cpu, memory = r.CPU, r.Memory
		if _, ok := list[corev1.ResourceCPU]; !ok {
			cpu = defaultMilliCPU
		}
		if _, ok := list[corev1.ResourceMemory]; !ok {
			memory = defaultMemory
		}
		return r, cpu, memory
	}
	opts := resourcehelper.PodResourcesOptions{UseStatusResources: true, InPlacePodLevelResourcesVerticalScalingEnabled: true}
	r = s.requests(resourcehelper.PodRequests(p, opts))
	opts.NonMissingContainerRequests = nonZero
	full := resourcehelper.PodRequests(p, opts)
	return r, full.Cpu().MilliValue(), full.Memory().Value()
}

// plain tells that the request of the only container is that of the pod.
func plain(p *corev1.Pod) bool {
	return len(p.Spec.Containers) == 1 && len(p.Spec.InitContainers) == 0 && p.Spec.Resources == nil &&
		len(p.Spec.Overhead) == 0 && len(p.Status.ContainerStatuses) == 0
}
