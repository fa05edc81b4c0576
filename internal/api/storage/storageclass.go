package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// StorageClass is all there is about StorageClass objects on the server.
var StorageClass = api.Kind[storagev1.StorageClass]{
	Version: storagev1.SchemeGroupVersion, Resource: "storageclasses", Short: []string{"sc"},
	List: &storagev1.StorageClassList{},
}
