package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// LimitRange is all there is about LimitRange objects on the server.
var LimitRange = api.Kind[corev1.LimitRange]{
	Version: corev1.SchemeGroupVersion, Resource: "limitranges", Short: []string{"limits"}, Namespaced: true,
	CreateOnUpdate: true,
	List:           &corev1.LimitRangeList{},
	Default:        defaultLimitRange,
	Validate:       validateLimitRange,
	ValidateUpdate: func(next, _ *corev1.LimitRange) field.ErrorList { return validateLimitRange(next) },
}
