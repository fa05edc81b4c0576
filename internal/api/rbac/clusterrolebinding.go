package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ClusterRoleBinding is all there is about ClusterRoleBinding objects on the server.
var ClusterRoleBinding = api.Kind[rbacv1.ClusterRoleBinding]{
	Version: rbacv1.SchemeGroupVersion, Resource: "clusterrolebindings",
	List: &rbacv1.ClusterRoleBindingList{},
	Name: api.NameIsPathSegment,
}
