package coordination

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Lease is all there is about Lease objects on the server.
var Lease = api.Kind[coordinationv1.Lease]{
	Version: coordinationv1.SchemeGroupVersion, Resource: "leases", Namespaced: true,
	CreateOnUpdate: true,
	RequireVersion: true, LooseFinalizers: true,
	List:           &coordinationv1.LeaseList{},
	Versions:       leaseVersions,
	Lazy:           true,
	Prepare:        prepareLease,
	PrepareUpdate:  prepareLeaseUpdate,
	Validate:       validateLease,
	ValidateUpdate: func(next, _ *coordinationv1.Lease) field.ErrorList { return validateLease(next) },
	Columns: api.Columns[coordinationv1.Lease]{
		api.NameColumn[coordinationv1.Lease](),
		api.Text("Holder", "holderIdentity contains the identity of the holder of a current lease.", func(o *coordinationv1.Lease) any { return holder(o) }),
		api.AgeColumn[coordinationv1.Lease](),
	},
}
