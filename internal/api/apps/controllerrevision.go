package apps

import (
	appsv1 "k8s.io/api/apps/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ControllerRevision is all there is about ControllerRevision objects on the server.
var ControllerRevision = api.Kind[appsv1.ControllerRevision]{
	Version: appsv1.SchemeGroupVersion, Resource: "controllerrevisions", Namespaced: true,
	List: &appsv1.ControllerRevisionList{},
}
