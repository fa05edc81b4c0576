package resource

import (
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// DeviceTaintRule is all there is about DeviceTaintRule objects on the server.
var DeviceTaintRule = api.Kind[resourcev1.DeviceTaintRule]{
	Version: resourcev1.SchemeGroupVersion, Resource: "devicetaintrules",
	List:     &resourcev1.DeviceTaintRuleList{},
	Versions: taintRuleVersions,
	Status:   api.StatusOf(func(o *resourcev1.DeviceTaintRule) *resourcev1.DeviceTaintRuleStatus { return &o.Status }),
	Spec:     func(o *resourcev1.DeviceTaintRule) any { return &o.Spec },
}
