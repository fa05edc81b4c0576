package resource

import (
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ResourceClaim is all there is about ResourceClaim objects on the server.
var ResourceClaim = api.Kind[resourcev1.ResourceClaim]{
	Version: resourcev1.SchemeGroupVersion, Resource: "resourceclaims", Namespaced: true,
	List:   &resourcev1.ResourceClaimList{},
	Status: api.StatusOf(func(o *resourcev1.ResourceClaim) *resourcev1.ResourceClaimStatus { return &o.Status }),
}
