package resource

import (
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ResourceClaimTemplate is all there is about ResourceClaimTemplate objects on the server.
var ResourceClaimTemplate = api.Kind[resourcev1.ResourceClaimTemplate]{
	Version: resourcev1.SchemeGroupVersion, Resource: "resourceclaimtemplates", Namespaced: true,
	List: &resourcev1.ResourceClaimTemplateList{},
}
