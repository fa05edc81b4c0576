package admission

import (
	"context"
	"slices"
)

// The finalizers that keep what is in use.
const (
	pvcProtection = "kubernetes.io/pvc-protection"
	pvProtection  = "kubernetes.io/pv-protection"
	vacProtection = "kubernetes.io/vac-protection"
)

var protections = map[string]string{
	"persistentvolumeclaims":  pvcProtection,
	"persistentvolumes":       pvProtection,
	"volumeattributesclasses": vacProtection,
}

// storageObjectInUseProtection gives claims, volumes and volume attributes
// classes a finalizer, which a controller takes off when nobody uses them.
func storageObjectInUseProtection(_ context.Context, a *Attributes) error {
	f := protections[a.Resource.GVR.Resource]
	if have := a.Object.GetFinalizers(); !slices.Contains(have, f) {
		a.Object.SetFinalizers(append(have, f))
	}
	return nil
}
