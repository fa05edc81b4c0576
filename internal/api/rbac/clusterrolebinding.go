package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ClusterRoleBinding is all there is about ClusterRoleBinding objects on the server.
var ClusterRoleBinding = api.Kind[rbacv1.ClusterRoleBinding]{
	Version: rbacv1.SchemeGroupVersion, Resource: "clusterrolebindings",
	Versions:       clusterRoleBindingVersions,
	CreateOnUpdate: true,
	List:           &rbacv1.ClusterRoleBindingList{},
	Name:           api.NameIsPathSegment,
	Default:        func(o *rbacv1.ClusterRoleBinding) { defaultBinding(&o.RoleRef, o.Subjects) },
	Validate: func(o *rbacv1.ClusterRoleBinding) field.ErrorList {
		return validateBinding(&o.RoleRef, o.Subjects, false)
	},
	ValidateUpdate: func(next, old *rbacv1.ClusterRoleBinding) field.ErrorList {
		return append(validateBinding(&next.RoleRef, next.Subjects, false), sameRole(next.RoleRef, old.RoleRef)...)
	},
	Columns: api.Columns[rbacv1.ClusterRoleBinding]{
		api.NameColumn[rbacv1.ClusterRoleBinding](),
		api.Text("Role", "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace.", func(o *rbacv1.ClusterRoleBinding) any { return o.RoleRef.Kind + "/" + o.RoleRef.Name }),
		api.AgeColumn[rbacv1.ClusterRoleBinding](),
		api.Wide("Users", "Users in the roleBinding", func(o *rbacv1.ClusterRoleBinding) any { return subjectNames(o.Subjects, rbacv1.UserKind) }),
		api.Wide("Groups", "Groups in the roleBinding", func(o *rbacv1.ClusterRoleBinding) any { return subjectNames(o.Subjects, rbacv1.GroupKind) }),
		api.Wide("ServiceAccounts", "ServiceAccounts in the roleBinding", func(o *rbacv1.ClusterRoleBinding) any { return subjectNames(o.Subjects, rbacv1.ServiceAccountKind) }),
	},
}
