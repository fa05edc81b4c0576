package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// CSINode is all there is about CSINode objects on the server.
var CSINode = api.Kind[storagev1.CSINode]{
	Version: storagev1.SchemeGroupVersion, Resource: "csinodes",
	List: &storagev1.CSINodeList{},
}
