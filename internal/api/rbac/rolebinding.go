package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// RoleBinding is all there is about RoleBinding objects on the server.
var RoleBinding = api.Kind[rbacv1.RoleBinding]{
	Version: rbacv1.SchemeGroupVersion, Resource: "rolebindings", Namespaced: true,
	List: &rbacv1.RoleBindingList{},
	Name: api.NameIsPathSegment,
}
