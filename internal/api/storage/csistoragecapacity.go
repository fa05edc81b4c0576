package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// CSIStorageCapacity is all there is about CSIStorageCapacity objects on the server.
var CSIStorageCapacity = api.Kind[storagev1.CSIStorageCapacity]{
	Version: storagev1.SchemeGroupVersion, Resource: "csistoragecapacities", Namespaced: true,
	RequireVersion: true,
	List:           &storagev1.CSIStorageCapacityList{},
	Versions:       csiStorageCapacityVersions,
	Validate:       validateCapacity,
	ValidateUpdate: validateCapacityUpdate,
}
