package snapshot

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// Volumes is what the scheduler knows of claims, volumes and storage classes.
type Volumes struct {
	Claims  map[string]*corev1.PersistentVolumeClaim // by namespace/name
	PVs     map[string]*corev1.PersistentVolume
	Classes map[string]*storagev1.StorageClass
	Limits  map[string]map[string]int32 // volumes that a node takes, by node and driver
	uses    map[string]int              // assigned pods by claim
}

func newVolumes() Volumes {
	return Volumes{
		Claims: map[string]*corev1.PersistentVolumeClaim{}, PVs: map[string]*corev1.PersistentVolume{},
		Classes: map[string]*storagev1.StorageClass{}, Limits: map[string]map[string]int32{}, uses: map[string]int{},
	}
}

// Claim is a claim that a pod uses.
type Claim struct {
	Key, Name string
	Ephemeral bool // made from the pod for the pod
}

// Uses is the number of assigned pods that use the claim.
func (v *Volumes) Uses(key string) int { return v.uses[key] }

func (v *Volumes) use(p *Pod, sign int) {
	if len(p.Obj.Spec.Volumes) == 0 {
		return
	}
	for _, c := range claimsOf(p.Obj) {
		if v.uses[c.Key] += sign; v.uses[c.Key] == 0 {
			delete(v.uses, c.Key)
		}
	}
}

func claimsOf(o *corev1.Pod) (claims []Claim) {
	for i := range o.Spec.Volumes {
		v := &o.Spec.Volumes[i]
		switch {
		case v.PersistentVolumeClaim != nil:
			claims = append(claims, Claim{Key: o.Namespace + "/" + v.PersistentVolumeClaim.ClaimName, Name: v.PersistentVolumeClaim.ClaimName})
		case v.Ephemeral != nil:
			name := o.Name + "-" + v.Name
			claims = append(claims, Claim{Key: o.Namespace + "/" + name, Name: name, Ephemeral: true})
		}
	}
	return claims
}

// Attached names the volume that a claim attaches to a node and the driver that does it;
// empty when no driver with a limit can be involved.
func (v *Volumes) Attached(c Claim) (driver, volume string) {
	pvc := v.Claims[c.Key]
	if pvc == nil {
		return "", ""
	}
	if pv := v.PVs[pvc.Spec.VolumeName]; pv != nil {
		if pv.Spec.CSI == nil {
			return "", ""
		}
		return pv.Spec.CSI.Driver, pv.Spec.CSI.VolumeHandle
	}
	// Not made yet: it will be one more, whatever its name.
	if pvc.Spec.StorageClassName != nil {
		if sc := v.Classes[*pvc.Spec.StorageClassName]; sc != nil {
			return sc.Provisioner, c.Key
		}
	}
	return "", ""
}

// Claims are the claims that the pod uses.
func (p *Pod) Claims() []Claim {
	if len(p.Obj.Spec.Volumes) == 0 {
		return nil
	}
	return claimsOf(p.Obj)
}
