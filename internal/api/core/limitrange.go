package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// LimitRange is all there is about LimitRange objects on the server.
var LimitRange = api.Kind[corev1.LimitRange]{
	Version: corev1.SchemeGroupVersion, Resource: "limitranges", Short: []string{"limits"}, Namespaced: true,
	List: &corev1.LimitRangeList{},
}
