package node

import (
	nodev1 "k8s.io/api/node/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// RuntimeClass is all there is about RuntimeClass objects on the server.
var RuntimeClass = api.Kind[nodev1.RuntimeClass]{
	Version: nodev1.SchemeGroupVersion, Resource: "runtimeclasses",
	List: &nodev1.RuntimeClassList{},
}
