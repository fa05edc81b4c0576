package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// VolumeAttachment is all there is about VolumeAttachment objects on the server.
var VolumeAttachment = api.Kind[storagev1.VolumeAttachment]{
	Version: storagev1.SchemeGroupVersion, Resource: "volumeattachments",
	List:   &storagev1.VolumeAttachmentList{},
	Status: api.StatusOf(func(o *storagev1.VolumeAttachment) *storagev1.VolumeAttachmentStatus { return &o.Status }),
}
