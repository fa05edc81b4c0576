package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Role is all there is about Role objects on the server.
var Role = api.Kind[rbacv1.Role]{
	Version: rbacv1.SchemeGroupVersion, Resource: "roles", Namespaced: true,
	Versions:       roleVersions,
	CreateOnUpdate: true,
	List:           &rbacv1.RoleList{},
	Name:           api.NameIsPathSegment,
	Validate:       validateRole,
	ValidateUpdate: func(next, _ *rbacv1.Role) field.ErrorList { return validateRole(next) },
}
