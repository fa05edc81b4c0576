package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// CSINode is all there is about CSINode objects on the server.
var CSINode = api.Kind[storagev1.CSINode]{
	Version: storagev1.SchemeGroupVersion, Resource: "csinodes",
	RequireVersion: true,
	List:           &storagev1.CSINodeList{},
	Versions:       csiNodeVersions,
	// What is told of the health of storage is not kept, by whomever it is told.
	Prepare:        func(o *storagev1.CSINode) { o.Status = storagev1.CSINodeStatus{} },
	PrepareUpdate:  func(next, old *storagev1.CSINode) { next.Status = old.Status },
	Validate:       validateCSINode,
	ValidateUpdate: validateCSINodeUpdate,
	Columns: api.Columns[storagev1.CSINode]{
		api.NameColumn[storagev1.CSINode](),
		api.Number("Drivers", "Drivers indicates the number of CSI drivers registered on the node", func(o *storagev1.CSINode) any { return int64(len(o.Spec.Drivers)) }),
		api.AgeColumn[storagev1.CSINode](),
	},
}
