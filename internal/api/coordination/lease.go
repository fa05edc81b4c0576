package coordination

import (
	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Lease is all there is about Lease objects on the server.
var Lease = api.Kind[coordinationv1.Lease]{
	Version: coordinationv1.SchemeGroupVersion, Resource: "leases", Namespaced: true,
	List: &coordinationv1.LeaseList{},
	Lazy: true,
}
