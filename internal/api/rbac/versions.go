package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	rbacv1beta1 "k8s.io/api/rbac/v1beta1"

	"github.com/skiff-k8s/skiff/internal/api"
)

var (
	roleVersions               = api.Versions{api.As[rbacv1.Role, rbacv1beta1.Role]{Version: rbacv1beta1.SchemeGroupVersion, List: &rbacv1beta1.RoleList{}}}
	roleBindingVersions        = api.Versions{api.As[rbacv1.RoleBinding, rbacv1beta1.RoleBinding]{Version: rbacv1beta1.SchemeGroupVersion, List: &rbacv1beta1.RoleBindingList{}}}
	clusterRoleVersions        = api.Versions{api.As[rbacv1.ClusterRole, rbacv1beta1.ClusterRole]{Version: rbacv1beta1.SchemeGroupVersion, List: &rbacv1beta1.ClusterRoleList{}}}
	clusterRoleBindingVersions = api.Versions{api.As[rbacv1.ClusterRoleBinding, rbacv1beta1.ClusterRoleBinding]{Version: rbacv1beta1.SchemeGroupVersion, List: &rbacv1beta1.ClusterRoleBindingList{}}}
)
