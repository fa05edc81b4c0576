package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// containerPort is a port of a pod, and where it is.
type containerPort struct {
	list string
	i, j int
	*corev1.ContainerPort
}

func (p *containerPort) path(at *field.Path) *field.Path {
	return meta.Index(meta.Child(meta.Index(meta.Child(at, p.list), p.i), "ports"), p.j)
}

type portKey struct {
	port     int32
	protocol corev1.Protocol
}

// ports tells of ports that are there twice, in one container or in several, and of
// names that lead to the first port only.
func (w *warnings) ports(s *corev1.PodSpec, at *field.Path) {
	var few [16]containerPort
	all := few[:0]
	for i := range s.InitContainers {
		for j := range s.InitContainers[i].Ports {
			all = append(all, containerPort{"initContainers", i, j, &s.InitContainers[i].Ports[j]})
		}
	}
	for i := range s.Containers {
		for j := range s.Containers[i].Ports {
			all = append(all, containerPort{"containers", i, j, &s.Containers[i].Ports[j]})
		}
	}
	// Many are found by their numbers and names; of those that are equal some are enough.
	many := len(all) > len(few)
	var byPort map[portKey][]int
	if many {
		byPort = map[portKey][]int{}
	}
	for k := range all {
		p := &all[k]
		if many {
			key := portKey{p.ContainerPort.ContainerPort, p.Protocol}
			for _, o := range byPort[key] {
				w.portPair(p, &all[o], at)
			}
			if len(byPort[key]) < len(few) {
				byPort[key] = append(byPort[key], k)
			}
		} else {
			for o := range k {
				if q := &all[o]; q.ContainerPort.ContainerPort == p.ContainerPort.ContainerPort && q.Protocol == p.Protocol {
					w.portPair(p, q, at)
				}
			}
		}
		if p.HostIP != "" && p.HostPort == 0 {
			w.add(p.path(at), fmt.Sprintf("hostIP set without hostPort: %+v", *p.ContainerPort))
		}
	}
	w.portNames(all, many, at)
}

func (w *warnings) portNames(all []containerPort, many bool, at *field.Path) {
	var byName map[string]int
	if many {
		byName = map[string]int{}
	}
	for k := range all {
		p := &all[k]
		if p.Name == "" {
			continue
		}
		if many {
			if o, ok := byName[p.Name]; ok {
				w.portName(p, &all[o], at)
			} else {
				byName[p.Name] = k
			}
			continue
		}
		for o := range k {
			if all[o].Name == p.Name {
				w.portName(p, &all[o], at)
				break
			}
		}
	}
}

func (w *warnings) portName(p, first *containerPort, at *field.Path) {
	if w.full() || p.list == first.list && p.i == first.i {
		return // the second is refused elsewhere
	}
	w.add(p.path(at), fmt.Sprintf("duplicate port name %q with %s, services and probes that select ports by name will use %s", p.Name, first.path(at), first.path(at)))
}

// portPair tells what is questionable in two ports of one number and protocol.
func (w *warnings) portPair(p, before *containerPort, at *field.Path) {
	sort := ""
	switch {
	case p.HostPort == before.HostPort && p.HostIP == before.HostIP:
		sort = "duplicate"
	case (p.HostPort == 0) != (before.HostPort == 0):
		sort = "overlapping"
	case p.HostPort == before.HostPort && (p.HostIP == "" || before.HostIP == ""):
		sort = "dangerously ambiguous"
	default:
		return
	}
	if !w.full() {
		w.add(p.path(at), fmt.Sprintf("%s port definition with %s", sort, before.path(at)))
	}
}
