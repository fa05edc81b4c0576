package resource

import (
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ResourceSlice is all there is about ResourceSlice objects on the server.
var ResourceSlice = api.Kind[resourcev1.ResourceSlice]{
	Version: resourcev1.SchemeGroupVersion, Resource: "resourceslices",
	List:     &resourcev1.ResourceSliceList{},
	Versions: sliceVersions,
	Spec:     func(o *resourcev1.ResourceSlice) any { return &o.Spec },
	Fields: map[string]func(*resourcev1.ResourceSlice) string{
		"spec.nodeName": func(o *resourcev1.ResourceSlice) string {
			if o.Spec.NodeName == nil {
				return ""
			}
			return *o.Spec.NodeName
		},
		"spec.driver": func(o *resourcev1.ResourceSlice) string { return o.Spec.Driver },
	},
	Columns: api.Columns[resourcev1.ResourceSlice]{
		api.NameColumn[resourcev1.ResourceSlice](),
		api.Text("Node", "NodeName identifies the node which provides the resources in this pool.", func(o *resourcev1.ResourceSlice) any { return sliceNode(o) }),
		api.Text("Driver", "Driver identifies the DRA driver providing the capacity information.", func(o *resourcev1.ResourceSlice) any { return o.Spec.Driver }),
		api.Text("Pool", "Pool describes the pool that this ResourceSlice belongs to.", func(o *resourcev1.ResourceSlice) any { return o.Spec.Pool.Name }),
		api.AgeColumn[resourcev1.ResourceSlice](),
	},
	Prepare:        prepareSlice,
	Validate:       validateSlice,
	ValidateUpdate: validateSliceUpdate,
}

func sliceNode(o *resourcev1.ResourceSlice) string {
	if o.Spec.NodeName == nil {
		return ""
	}
	return *o.Spec.NodeName
}
