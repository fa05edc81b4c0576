package resource

import (
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ResourceSlice is all there is about ResourceSlice objects on the server.
var ResourceSlice = api.Kind[resourcev1.ResourceSlice]{
	Version: resourcev1.SchemeGroupVersion, Resource: "resourceslices",
	List: &resourcev1.ResourceSliceList{},
	Spec: func(o *resourcev1.ResourceSlice) any { return &o.Spec },
}
