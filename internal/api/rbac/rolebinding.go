package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// RoleBinding is all there is about RoleBinding objects on the server.
var RoleBinding = api.Kind[rbacv1.RoleBinding]{
	Version: rbacv1.SchemeGroupVersion, Resource: "rolebindings", Namespaced: true,
	Versions:       roleBindingVersions,
	CreateOnUpdate: true,
	List:           &rbacv1.RoleBindingList{},
	Name:           api.NameIsPathSegment,
	Default:        func(o *rbacv1.RoleBinding) { defaultBinding(&o.RoleRef, o.Subjects) },
	Validate:       func(o *rbacv1.RoleBinding) field.ErrorList { return validateBinding(&o.RoleRef, o.Subjects, true) },
	ValidateUpdate: func(next, old *rbacv1.RoleBinding) field.ErrorList {
		return append(validateBinding(&next.RoleRef, next.Subjects, true), sameRole(next.RoleRef, old.RoleRef)...)
	},
	Columns: api.Columns[rbacv1.RoleBinding]{
		api.NameColumn[rbacv1.RoleBinding](),
		api.Text("Role", "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace.", func(o *rbacv1.RoleBinding) any { return o.RoleRef.Kind + "/" + o.RoleRef.Name }),
		api.AgeColumn[rbacv1.RoleBinding](),
		api.Wide("Users", "Users in the roleBinding", func(o *rbacv1.RoleBinding) any { return subjectNames(o.Subjects, rbacv1.UserKind) }),
		api.Wide("Groups", "Groups in the roleBinding", func(o *rbacv1.RoleBinding) any { return subjectNames(o.Subjects, rbacv1.GroupKind) }),
		api.Wide("ServiceAccounts", "ServiceAccounts in the roleBinding", func(o *rbacv1.RoleBinding) any { return subjectNames(o.Subjects, rbacv1.ServiceAccountKind) }),
	},
}
