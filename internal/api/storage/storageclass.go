package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// StorageClass is all there is about StorageClass objects on the server.
var StorageClass = api.Kind[storagev1.StorageClass]{
	Version: storagev1.SchemeGroupVersion, Resource: "storageclasses", Short: []string{"sc"},
	List:           &storagev1.StorageClassList{},
	Versions:       storageClassVersions,
	Default:        defaultStorageClass,
	Validate:       validateStorageClass,
	ValidateUpdate: validateStorageClassUpdate,
	Columns: api.Columns[storagev1.StorageClass]{
		{ColumnHead: api.NameColumn[storagev1.StorageClass]().ColumnHead, Cell: func(o *storagev1.StorageClass) any { return classText(o) }},
		api.Text("Provisioner", "provisioner indicates the type of the provisioner.", func(o *storagev1.StorageClass) any { return o.Provisioner }),
		api.Text("ReclaimPolicy", "reclaimPolicy controls the reclaimPolicy for dynamically provisioned PersistentVolumes of this storage class.", func(o *storagev1.StorageClass) any { return orUnset(o.ReclaimPolicy) }),
		api.Text("VolumeBindingMode", "volumeBindingMode indicates how PersistentVolumeClaims should be provisioned and bound.", func(o *storagev1.StorageClass) any { return orUnset(o.VolumeBindingMode) }),
		api.Text("AllowVolumeExpansion", "allowVolumeExpansion shows whether the storage class allow volume expand.", func(o *storagev1.StorageClass) any { return expansion(o.AllowVolumeExpansion) }),
		api.AgeColumn[storagev1.StorageClass](),
	},
}
