package snapshot

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Pod is a pod as scheduling sees it.
type Pod struct {
	Obj      *corev1.Pod
	Priority int32
	Requests Requests
	// NonZeroCPU and NonZeroMemory are the requests as scoring counts them.
	NonZeroCPU, NonZeroMemory int64
	Labels                    *LabelSet
	Ports                     []HostPort
	Terminating               bool

	NodeName string // the node that it counts on; empty when it is not assigned
	Node     *Node  // nil when that node is not known
	at       int32  // index in Node.Pods

	held      []*Holder // only while assigned
	wants     *Wants
	nominated string
}

// HostPort is a port of a node that a pod takes.
type HostPort struct {
	IP       string // "" and 0.0.0.0 mean every address
	Protocol corev1.Protocol
	Port     int32
}

// Clashes tells whether both cannot be on the same node.
func (a HostPort) Clashes(b HostPort) bool {
	return a.Port == b.Port && a.Protocol == b.Protocol && (a.IP == b.IP || a.IP == anyIP || b.IP == anyIP)
}

const anyIP = "0.0.0.0"

// Compile makes a Pod of an object. Every compiled pod must be given to Release
// once nothing uses it any more.
func (s *Snapshot) Compile(o *corev1.Pod) *Pod {
	p := &Pod{Obj: o, Terminating: o.DeletionTimestamp != nil}
	if o.Spec.Priority != nil {
		p.Priority = *o.Spec.Priority
	}
	p.Requests, p.NonZeroCPU, p.NonZeroMemory = s.podRequests(o)
	p.Labels = s.labelSet(o.Namespace, o.Labels)
	p.Labels.refs++
	p.Ports = hostPorts(nil, o.Spec.Containers, false)
	p.Ports = hostPorts(p.Ports, o.Spec.InitContainers, true)
	return p
}

// Release gives up a compiled pod.
func (s *Snapshot) Release(p *Pod) {
	s.Unnominate(p)
	p.Labels.refs--
	if p.Labels.refs == 0 {
		delete(s.labelSets, p.Labels.key)
		s.space(p.Labels.Namespace).dropLabels(p.Labels)
	}
}

// hostPorts adds the ports of containers; of init containers only those of sidecars, which stay.
func hostPorts(ports []HostPort, cs []corev1.Container, init bool) []HostPort {
	for i := range cs {
		c := &cs[i]
		if init && (c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways) {
			continue
		}
		for _, cp := range c.Ports {
			if cp.HostPort <= 0 {
				continue
			}
			hp := HostPort{cp.HostIP, cp.Protocol, cp.HostPort}
			if hp.IP == "" {
				hp.IP = anyIP
			}
			if hp.Protocol == "" {
				hp.Protocol = corev1.ProtocolTCP
			}
			ports = append(ports, hp)
		}
	}
	return ports
}

// Assign counts the pod on the node of that name, which need not be known.
func (s *Snapshot) Assign(p *Pod, node string) {
	p.NodeName = node
	p.wants = nil // of no use any more, and larger than the rest
	s.pods[p.Obj.UID] = p
	s.priorities[p.Priority]++
	if n := s.nodes[node]; n != nil {
		s.account(p, n)
		return
	}
	s.addOrphan(p, node)
}

// Remove takes an assigned pod off its node.
func (s *Snapshot) Remove(p *Pod) {
	if p.NodeName == "" {
		return
	}
	if s.pods[p.Obj.UID] == p {
		delete(s.pods, p.Obj.UID)
	}
	if s.priorities[p.Priority]--; s.priorities[p.Priority] == 0 {
		delete(s.priorities, p.Priority)
	}
	if p.Node != nil {
		s.discount(p)
	} else if m := s.orphan[p.NodeName]; m != nil {
		delete(m, p)
		if len(m) == 0 {
			delete(s.orphan, p.NodeName)
		}
	}
	p.NodeName, p.held = "", nil
}

// Lift takes the pod off its node for a thought experiment, Drop puts a pod on one:
// nothing but the counts changes. Every Lift is undone by a Drop and the other way round.
func (s *Snapshot) Lift(p *Pod)          { s.discount(p) }
func (s *Snapshot) Drop(p *Pod, n *Node) { s.account(p, n) }

func (s *Snapshot) account(p *Pod, n *Node) {
	p.Node, p.at = n, int32(len(n.Pods))
	n.Pods = append(n.Pods, p)
	n.Used.add(&p.Requests, 1)
	n.NonZeroCPU += p.NonZeroCPU
	n.NonZeroMemory += p.NonZeroMemory
	n.Ports = append(n.Ports, p.Ports...)
	for _, g := range p.Labels.groups {
		if g.counts(p) {
			g.PerNode[n.Slot]++
		}
	}
	if p.held == nil {
		p.held = s.hold(p)
	}
	for _, h := range p.held {
		h.PerNode[n.Slot]++
		h.Total++
	}
	s.Volumes.use(p, 1)
}

func (s *Snapshot) discount(p *Pod) {
	n := p.Node
	last := n.Pods[len(n.Pods)-1]
	n.Pods[p.at], last.at = last, p.at
	n.Pods[len(n.Pods)-1] = nil
	n.Pods = n.Pods[:len(n.Pods)-1]
	n.Used.add(&p.Requests, -1)
	n.NonZeroCPU -= p.NonZeroCPU
	n.NonZeroMemory -= p.NonZeroMemory
	for _, hp := range p.Ports {
		for i := range n.Ports {
			if n.Ports[i] == hp {
				n.Ports[i] = n.Ports[len(n.Ports)-1]
				n.Ports = n.Ports[:len(n.Ports)-1]
				break
			}
		}
	}
	for _, g := range p.Labels.groups {
		if g.counts(p) {
			g.PerNode[n.Slot]--
		}
	}
	for _, h := range p.held {
		h.PerNode[n.Slot]--
		h.Total--
	}
	s.Volumes.use(p, -1)
	p.Node = nil
	if p.NodeName == "" {
		p.held = nil // nothing keeps the holders of a pod that is not assigned
	}
}

// NominatedNode is the node that is being made free for the pod; empty: none.
func (p *Pod) NominatedNode() string { return p.nominated }

// Same tells whether two compilations of one pod are alike in all that nodes and groups count.
func (p *Pod) Same(o *Pod) bool {
	a, b := &p.Requests, &o.Requests
	return a.CPU == b.CPU && a.Memory == b.Memory && a.Ephemeral == b.Ephemeral && sameAmounts(a.Scalars, b.Scalars) &&
		p.NonZeroCPU == o.NonZeroCPU && p.NonZeroMemory == o.NonZeroMemory &&
		p.Labels == o.Labels && p.Terminating == o.Terminating && p.Priority == o.Priority
}

// sameAmounts compares without regard to order: it is that of a map.
func sameAmounts(a, b []Amount) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		if !slices.Contains(b, x) {
			return false
		}
	}
	return true
}
