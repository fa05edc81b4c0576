package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	storagev1beta1 "k8s.io/api/storage/v1beta1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// The kinds of storage.k8s.io/v1beta1 have the fields and the defaults of v1.
var (
	storageClassVersions = api.Versions{api.As[storagev1.StorageClass, storagev1beta1.StorageClass]{
		Version: storagev1beta1.SchemeGroupVersion, List: &storagev1beta1.StorageClassList{}}}
	volumeAttachmentVersions = api.Versions{api.As[storagev1.VolumeAttachment, storagev1beta1.VolumeAttachment]{
		Version: storagev1beta1.SchemeGroupVersion, List: &storagev1beta1.VolumeAttachmentList{}}}
	csiDriverVersions = api.Versions{api.As[storagev1.CSIDriver, storagev1beta1.CSIDriver]{
		Version: storagev1beta1.SchemeGroupVersion, List: &storagev1beta1.CSIDriverList{}}}
	csiNodeVersions = api.Versions{api.As[storagev1.CSINode, storagev1beta1.CSINode]{
		Version: storagev1beta1.SchemeGroupVersion, List: &storagev1beta1.CSINodeList{}}}
	csiStorageCapacityVersions = api.Versions{api.As[storagev1.CSIStorageCapacity, storagev1beta1.CSIStorageCapacity]{
		Version: storagev1beta1.SchemeGroupVersion, List: &storagev1beta1.CSIStorageCapacityList{}}}
	volumeAttributesClassVersions = api.Versions{api.As[storagev1.VolumeAttributesClass, storagev1beta1.VolumeAttributesClass]{
		Version: storagev1beta1.SchemeGroupVersion, List: &storagev1beta1.VolumeAttributesClassList{}}}
)
