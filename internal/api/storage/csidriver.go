package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// CSIDriver is all there is about CSIDriver objects on the server.
var CSIDriver = api.Kind[storagev1.CSIDriver]{
	Version: storagev1.SchemeGroupVersion, Resource: "csidrivers",
	RequireVersion: true,
	List:           &storagev1.CSIDriverList{},
	Versions:       csiDriverVersions,
	Default:        defaultCSIDriver,
	Validate:       validateCSIDriver,
	ValidateUpdate: validateCSIDriverUpdate,
	Warn:           warnCSIDriver,
	Columns: api.Columns[storagev1.CSIDriver]{
		api.NameColumn[storagev1.CSIDriver](),
		{ColumnHead: api.ColumnHead{Name: "AttachRequired", Type: "boolean", Description: "attachRequired indicates this CSI volume driver requires an attach operation."}, Cell: func(o *storagev1.CSIDriver) any { return yes(o.Spec.AttachRequired, true) }},
		{ColumnHead: api.ColumnHead{Name: "PodInfoOnMount", Type: "boolean", Description: "podInfoOnMount indicates this CSI volume driver requires additional pod information during mount operations."}, Cell: func(o *storagev1.CSIDriver) any { return yes(o.Spec.PodInfoOnMount, false) }},
		{ColumnHead: api.ColumnHead{Name: "StorageCapacity", Type: "boolean", Description: "storageCapacity indicates that the CSI volume driver wants pod scheduling to consider the storage capacity that the driver deployment will report."}, Cell: func(o *storagev1.CSIDriver) any { return yes(o.Spec.StorageCapacity, false) }},
		api.Text("TokenRequests", "tokenRequests indicates the CSI driver needs pods' service account tokens it is mounting volume for.", func(o *storagev1.CSIDriver) any { return tokenText(o) }),
		{ColumnHead: api.ColumnHead{Name: "RequiresRepublish", Type: "boolean", Description: "requiresRepublish indicates the CSI driver wants `NodePublishVolume` being periodically called to reflect any possible change in the mounted volume."}, Cell: func(o *storagev1.CSIDriver) any { return yes(o.Spec.RequiresRepublish, false) }},
		api.Text("Modes", "volumeLifecycleModes defines what kind of volumes this CSI volume driver supports.", func(o *storagev1.CSIDriver) any { return modesText(o) }),
		api.AgeColumn[storagev1.CSIDriver](),
	},
}

func yes(v *bool, otherwise bool) bool {
	if v == nil {
		return otherwise
	}
	return *v
}
