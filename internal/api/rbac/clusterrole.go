package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ClusterRole is all there is about ClusterRole objects on the server.
var ClusterRole = api.Kind[rbacv1.ClusterRole]{
	Version: rbacv1.SchemeGroupVersion, Resource: "clusterroles",
	Versions:       clusterRoleVersions,
	CreateOnUpdate: true,
	List:           &rbacv1.ClusterRoleList{},
	Name:           api.NameIsPathSegment,
	Validate:       validateClusterRole,
	ValidateUpdate: func(next, _ *rbacv1.ClusterRole) field.ErrorList { return validateClusterRole(next) },
}
