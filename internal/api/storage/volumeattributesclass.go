package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// VolumeAttributesClass is all there is about VolumeAttributesClass objects on the server.
var VolumeAttributesClass = api.Kind[storagev1.VolumeAttributesClass]{
	Version: storagev1.SchemeGroupVersion, Resource: "volumeattributesclasses", Short: []string{"vac"},
	List: &storagev1.VolumeAttributesClassList{},
}
