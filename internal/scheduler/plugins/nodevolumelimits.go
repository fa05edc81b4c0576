package plugins

import "github.com/skiff-k8s/skiff/internal/scheduler/snapshot"

var errVolumeLimit = reject(NodeVolumeLimits, "node(s) exceed max volume count")

func preFilterVolumeLimits(c *Cycle) (bool, *Status) {
	return len(c.Want.Claims) > 0 && len(c.S.Volumes.Limits) > 0, nil
}

func filterVolumeLimits(c *Cycle, n *snapshot.Node) *Status {
	limits := c.S.Volumes.Limits[n.Name]
	if len(limits) == 0 {
		return nil
	}
	// By driver; a volume that several pods of a node use is attached once.
	there, fresh := map[string]map[string]bool{}, map[string]int32{}
	count := func(claims []snapshot.Claim, isNew bool) {
		for _, cl := range claims {
			driver, volume := c.S.Volumes.Attached(cl)
			if _, limited := limits[driver]; !limited || there[driver][volume] {
				continue
			}
			if there[driver] == nil {
				there[driver] = map[string]bool{}
			}
			there[driver][volume] = true
			if isNew {
				fresh[driver]++
			}
		}
	}
	for _, p := range n.Pods {
		count(p.Claims(), false)
	}
	count(c.Want.Claims, true)
	for driver, more := range fresh {
		if more > 0 && int32(len(there[driver])) > limits[driver] {
			return errVolumeLimit
		}
	}
	return nil
}

func wakeVolumeLimits(_ *snapshot.Snapshot, _ *snapshot.Pod, ch *Change) bool {
	return ch.Kind == PodGone && len(ch.Pod.Obj.Spec.Volumes) > 0 || ch.Kind == VolumeChanged ||
		ch.Kind == NodeChanged && ch.Parts&snapshot.NodeAdded != 0
}
