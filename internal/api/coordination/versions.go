package coordination

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	coordinationv1beta1 "k8s.io/api/coordination/v1beta1"

	"github.com/skiff-k8s/skiff/internal/api"
)

var leaseVersions = api.Versions{api.As[coordinationv1.Lease, coordinationv1beta1.Lease]{
	Version: coordinationv1beta1.SchemeGroupVersion, List: &coordinationv1beta1.LeaseList{}}}
