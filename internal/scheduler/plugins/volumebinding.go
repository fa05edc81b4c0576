package plugins

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	corev1helper "k8s.io/component-helpers/scheduling/corev1"

	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

var (
	errImmediate    = rejectForGood(VolumeBinding, "pod has unbound immediate PersistentVolumeClaims")
	errVolumeNode   = rejectForGood(VolumeBinding, "node(s) didn't match PersistentVolume's node affinity")
	errVolumeGone   = rejectForGood(VolumeBinding, "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)")
	errNoVolume     = rejectForGood(VolumeBinding, "node(s) didn't find available persistent volumes to bind")
	errVolumeZone   = rejectForGood(VolumeBinding, "node(s) had no available volume zone")
	zoneLabels      = []string{corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion}
	annBound        = "pv.kubernetes.io/bind-completed"
	noProvisioner   = "kubernetes.io/no-provisioner"
	annSelectedNode = "volume.kubernetes.io/selected-node"
)

// volumeNotes is what the pod's claims need of a node.
type volumeNotes struct {
	bound   []*corev1.PersistentVolume
	gone    bool
	delayed []*corev1.PersistentVolumeClaim
}

func preFilterVolumes(c *Cycle) (bool, *Status) {
	v := &c.volumes
	v.bound, v.delayed, v.gone = v.bound[:0], v.delayed[:0], false
	for _, cl := range c.Want.Claims {
		pvc := c.S.Volumes.Claims[cl.Key]
		if st := claimStatus(c.Pod.Obj, cl, pvc); st != nil {
			return false, st
		}
		if Bound(pvc) {
			if pv := c.S.Volumes.PVs[pvc.Spec.VolumeName]; pv != nil {
				v.bound = append(v.bound, pv)
			} else {
				v.gone = true
			}
			continue
		}
		if !Delayed(&c.S.Volumes, pvc) || pvc.Spec.VolumeName != "" {
			return false, errImmediate
		}
		v.delayed = append(v.delayed, pvc)
	}
	return len(c.Want.Claims) > 0, nil
}

func claimStatus(pod *corev1.Pod, cl snapshot.Claim, pvc *corev1.PersistentVolumeClaim) *Status {
	switch {
	case pvc == nil && cl.Ephemeral:
		return rejectForGood(VolumeBinding, fmt.Sprintf("waiting for ephemeral volume controller to create the persistentvolumeclaim %q", cl.Name))
	case pvc == nil:
		return rejectForGood(VolumeBinding, fmt.Sprintf("persistentvolumeclaim %q not found", cl.Name))
	case pvc.Status.Phase == corev1.ClaimLost:
		return rejectForGood(VolumeBinding, fmt.Sprintf("persistentvolumeclaim %q bound to non-existent persistentvolume %q", cl.Name, pvc.Spec.VolumeName))
	case pvc.DeletionTimestamp != nil:
		return rejectForGood(VolumeBinding, fmt.Sprintf("persistentvolumeclaim %q is being deleted", cl.Name))
	case cl.Ephemeral && !ownedBy(pvc, pod):
		return rejectForGood(VolumeBinding, fmt.Sprintf("PVC %q was not created for pod %q (pod is not owner)", cl.Key, pod.Namespace+"/"+pod.Name))
	}
	return nil
}

func ownedBy(pvc *corev1.PersistentVolumeClaim, pod *corev1.Pod) bool {
	for i := range pvc.OwnerReferences {
		if r := &pvc.OwnerReferences[i]; r.Controller != nil && *r.Controller && r.UID == pod.UID {
			return true
		}
	}
	return false
}

// Bound tells whether the claim has its volume.
func Bound(pvc *corev1.PersistentVolumeClaim) bool {
	_, done := pvc.Annotations[annBound]
	return pvc.Spec.VolumeName != "" && done
}

// Delayed tells whether the claim waits for its first pod to be given a node.
func Delayed(v *snapshot.Volumes, pvc *corev1.PersistentVolumeClaim) bool {
	sc := classOf(v, pvc)
	return sc != nil && sc.VolumeBindingMode != nil && *sc.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
}

func classOf(v *snapshot.Volumes, pvc *corev1.PersistentVolumeClaim) *storagev1.StorageClass {
	if pvc.Spec.StorageClassName == nil {
		return nil
	}
	return v.Classes[*pvc.Spec.StorageClassName]
}

func filterVolumes(c *Cycle, n *snapshot.Node) *Status {
	v := &c.volumes
	if v.gone {
		return errVolumeGone
	}
	for _, pv := range v.bound {
		if !Reaches(pv, n.Obj) {
			return errVolumeNode
		}
		if !sameZone(pv, n.Obj) {
			return errVolumeZone
		}
	}
	if len(v.delayed) > 0 {
		if _, st := Choose(&c.S.Volumes, v.delayed, n.Obj); st != nil {
			return st
		}
	}
	return nil
}

// Reaches tells whether the node can use the volume.
func Reaches(pv *corev1.PersistentVolume, n *corev1.Node) bool {
	if pv.Spec.NodeAffinity == nil || pv.Spec.NodeAffinity.Required == nil {
		return true
	}
	ok, err := corev1helper.MatchNodeSelectorTerms(n, pv.Spec.NodeAffinity.Required)
	return err == nil && ok
}

// sameZone compares the zone labels of a volume, which may name several zones joined by "__".
func sameZone(pv *corev1.PersistentVolume, n *corev1.Node) bool {
	for _, key := range zoneLabels {
		zones, ok := pv.Labels[key]
		if !ok {
			continue
		}
		has, labelled := n.Labels[key]
		match := false
		for z := range strings.SplitSeq(zones, "__") {
			match = match || labelled && z == has
		}
		if !match {
			return false
		}
	}
	return true
}

func wakeVolumes(_ *snapshot.Snapshot, _ *snapshot.Pod, ch *Change) bool {
	return ch.Kind == VolumeChanged || ch.Kind == NodeChanged && ch.Parts&(snapshot.NodeAdded|snapshot.NodeLabels) != 0
}
