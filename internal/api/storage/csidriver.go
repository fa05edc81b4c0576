package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// CSIDriver is all there is about CSIDriver objects on the server.
var CSIDriver = api.Kind[storagev1.CSIDriver]{
	Version: storagev1.SchemeGroupVersion, Resource: "csidrivers",
	List: &storagev1.CSIDriverList{},
}
