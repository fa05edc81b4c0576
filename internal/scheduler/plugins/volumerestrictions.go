package plugins

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

var errSoleUse = reject(VolumeRestrictions, "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode")

// A ReadWriteOncePod claim that another pod uses keeps this pod off every node
// until that pod is gone, so that nodes with the other pod may be preempted.
func preFilterVolumeRestrictions(c *Cycle) (bool, *Status) {
	for _, cl := range c.Want.Claims {
		if c.sole(cl) && c.S.Volumes.Uses(cl.Key) > 0 {
			return true, nil
		}
	}
	return false, nil
}

func (c *Cycle) sole(cl snapshot.Claim) bool {
	pvc := c.S.Volumes.Claims[cl.Key]
	return pvc != nil && slices.Contains(pvc.Spec.AccessModes, corev1.ReadWriteOncePod)
}

func filterVolumeRestrictions(*Cycle, *snapshot.Node) *Status { return errSoleUse }

func wakeVolumeRestrictions(_ *snapshot.Snapshot, _ *snapshot.Pod, ch *Change) bool {
	return ch.Kind == PodGone && len(ch.Pod.Obj.Spec.Volumes) > 0 || ch.Kind == VolumeChanged
}
