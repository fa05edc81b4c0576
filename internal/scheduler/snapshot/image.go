package snapshot

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Image is an image that nodes have.
type Image struct {
	Size  int64 // bytes
	Nodes int
	on    []bool // by slot
}

// On tells whether the node has it.
func (i *Image) On(slot int32) bool { return int(slot) < len(i.on) && i.on[slot] }

// Image finds an image by name; nil when no node has it.
func (s *Snapshot) Image(name string) *Image { return s.images[name] }

func (s *Snapshot) addImages(n *Node, o *corev1.Node) {
	for i := range o.Status.Images {
		for _, name := range o.Status.Images[i].Names {
			im := s.images[name]
			if im == nil {
				im = &Image{}
				s.images[name] = im
			}
			for int(n.Slot) >= len(im.on) {
				im.on = append(im.on, false)
			}
			im.Size = o.Status.Images[i].SizeBytes
			if !im.on[n.Slot] {
				im.on[n.Slot] = true
				im.Nodes++
			}
		}
	}
}

func (s *Snapshot) dropImages(n *Node, o *corev1.Node) {
	for i := range o.Status.Images {
		for _, name := range o.Status.Images[i].Names {
			im := s.images[name]
			if im == nil || !im.On(n.Slot) {
				continue
			}
			im.on[n.Slot] = false
			if im.Nodes--; im.Nodes == 0 {
				delete(s.images, name)
			}
		}
	}
}

// imageNames are the images of the pod's containers as nodes name them.
func imageNames(p *corev1.Pod) []string {
	names := make([]string, 0, len(p.Spec.InitContainers)+len(p.Spec.Containers))
	for _, cs := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range cs {
			name := cs[i].Image
			if strings.LastIndexByte(name, ':') <= strings.LastIndexByte(name, '/') {
				name += ":latest"
			}
			names = append(names, name)
		}
	}
	for i := range p.Spec.Volumes {
		if im := p.Spec.Volumes[i].Image; im != nil {
			names = append(names, im.Reference)
		}
	}
	return slices.Clip(names)
}
