package plugins

import (
	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

// Kind is what a Change is about.
type Kind uint8

// The changes of the cluster that may let a pod run.
const (
	NodeChanged   Kind = iota // Node and Parts say what of which
	PodGone                   // Pod left its node, or is about to
	PodThere                  // Pod came to a node, or its labels changed
	PodShrunk                 // Pod asks for less than before
	VolumeChanged             // a claim, a volume or a storage class
	Relabelled                // a namespace's labels
	PodRelabelled             // Pod's labels changed, on its node
)

// Change is one change of the cluster.
type Change struct {
	Kind  Kind
	Node  *snapshot.Node
	Parts snapshot.Change
	Pod   *snapshot.Pod
}

// Wakes tells whether the change may let a pod run that the plugins of the set kept from running.
func Wakes(s *snapshot.Snapshot, p *snapshot.Pod, by Set, ch *Change) bool {
	for i := range Table {
		if by.Has(Index(i)) && Table[i].Wake != nil && Table[i].Wake(s, p, ch) {
			return true
		}
	}
	return false
}
