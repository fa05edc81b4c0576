package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// VolumeAttributesClass is all there is about VolumeAttributesClass objects on the server.
var VolumeAttributesClass = api.Kind[storagev1.VolumeAttributesClass]{
	Version: storagev1.SchemeGroupVersion, Resource: "volumeattributesclasses", Short: []string{"vac"},
	List:           &storagev1.VolumeAttributesClassList{},
	Versions:       volumeAttributesClassVersions,
	Validate:       validateAttributesClass,
	ValidateUpdate: validateAttributesClassUpdate,
	Columns: api.Columns[storagev1.VolumeAttributesClass]{
		api.NameColumn[storagev1.VolumeAttributesClass](),
		api.Text("DriverName", "Name of the CSI driver", func(o *storagev1.VolumeAttributesClass) any { return o.DriverName }),
		api.AgeColumn[storagev1.VolumeAttributesClass](),
	},
}
