package node

import (
	nodev1 "k8s.io/api/node/v1"
	nodev1beta1 "k8s.io/api/node/v1beta1"

	"github.com/skiff-k8s/skiff/internal/api"
)

var runtimeClassVersions = api.Versions{api.As[nodev1.RuntimeClass, nodev1beta1.RuntimeClass]{
	Version: nodev1beta1.SchemeGroupVersion, List: &nodev1beta1.RuntimeClassList{}}}
