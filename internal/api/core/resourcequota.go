package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ResourceQuota is all there is about ResourceQuota objects on the server.
var ResourceQuota = api.Kind[corev1.ResourceQuota]{
	Version: corev1.SchemeGroupVersion, Resource: "resourcequotas", Short: []string{"quota"}, Namespaced: true,
	List:           &corev1.ResourceQuotaList{},
	Status:         api.StatusOf(func(o *corev1.ResourceQuota) *corev1.ResourceQuotaStatus { return &o.Status }).WithPrepare(func(next, _ *corev1.ResourceQuota) { defaultResourceQuota(next) }).WithValidate(func(next, _ *corev1.ResourceQuota) field.ErrorList { return validateResourceQuota(next) }),
	Default:        defaultResourceQuota,
	Validate:       validateResourceQuota,
	ValidateUpdate: validateResourceQuotaUpdate,
	// Every create asks for the quotas of its namespace.
	Indexes: map[string]func(*corev1.ResourceQuota) []string{
		"namespace": func(o *corev1.ResourceQuota) []string { return []string{o.Namespace} },
	},
	Columns: api.Columns[corev1.ResourceQuota]{
		api.NameColumn[corev1.ResourceQuota](),
		api.Text("Request", "Request represents a minimum amount of cpu/memory that a container may consume.", func(o *corev1.ResourceQuota) any { return quotaText(o, false) }),
		api.Text("Limit", "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.", func(o *corev1.ResourceQuota) any { return quotaText(o, true) }),
		api.AgeColumn[corev1.ResourceQuota](),
	},
}
