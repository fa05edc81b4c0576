package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ResourceQuota is all there is about ResourceQuota objects on the server.
var ResourceQuota = api.Kind[corev1.ResourceQuota]{
	Version: corev1.SchemeGroupVersion, Resource: "resourcequotas", Short: []string{"quota"}, Namespaced: true,
	List:   &corev1.ResourceQuotaList{},
	Status: api.StatusOf(func(o *corev1.ResourceQuota) *corev1.ResourceQuotaStatus { return &o.Status }),
}
