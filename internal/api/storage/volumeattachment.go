package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// VolumeAttachment is all there is about VolumeAttachment objects on the server.
var VolumeAttachment = api.Kind[storagev1.VolumeAttachment]{
	Version: storagev1.SchemeGroupVersion, Resource: "volumeattachments",
	RequireVersion: true,
	List:           &storagev1.VolumeAttachmentList{},
	Versions:       volumeAttachmentVersions,
	Status:         api.StatusOf(func(o *storagev1.VolumeAttachment) *storagev1.VolumeAttachmentStatus { return &o.Status }).WithValidate(validateAttachmentStatus).Only(),
	Validate:       validateAttachment,
	ValidateUpdate: validateAttachmentUpdate,
	Columns: api.Columns[storagev1.VolumeAttachment]{
		api.NameColumn[storagev1.VolumeAttachment](),
		{ColumnHead: api.ColumnHead{Name: "Attacher", Format: "name", Description: "attacher indicates the name of the volume driver that MUST handle this request."}, Cell: func(o *storagev1.VolumeAttachment) any { return o.Spec.Attacher }},
		api.Text("PV", "persistentVolumeName represents the name of the persistent volume to attach.", func(o *storagev1.VolumeAttachment) any { return attachedVolume(o) }),
		api.Text("Node", "nodeName represents the node that the volume should be attached to.", func(o *storagev1.VolumeAttachment) any { return o.Spec.NodeName }),
		{ColumnHead: api.ColumnHead{Name: "Attached", Type: "boolean", Description: "attached indicates the volume is successfully attached."}, Cell: func(o *storagev1.VolumeAttachment) any { return o.Status.Attached }},
		api.AgeColumn[storagev1.VolumeAttachment](),
	},
}

func attachedVolume(o *storagev1.VolumeAttachment) string {
	if o.Spec.Source.PersistentVolumeName == nil {
		return ""
	}
	return *o.Spec.Source.PersistentVolumeName
}
