package resource

import (
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// DeviceClass is all there is about DeviceClass objects on the server.
var DeviceClass = api.Kind[resourcev1.DeviceClass]{
	Version: resourcev1.SchemeGroupVersion, Resource: "deviceclasses",
	List:           &resourcev1.DeviceClassList{},
	Versions:       classVersions,
	Name:           api.NameIsLongName,
	Spec:           func(o *resourcev1.DeviceClass) any { return &o.Spec },
	Validate:       func(o *resourcev1.DeviceClass) field.ErrorList { return validateDeviceClass(o, nil) },
	ValidateUpdate: validateDeviceClass,
	Columns: api.Columns[resourcev1.DeviceClass]{
		api.NameColumn[resourcev1.DeviceClass](),
		api.AgeColumn[resourcev1.DeviceClass](),
	},
}
