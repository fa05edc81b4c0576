package resource

import (
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// validateClaimStatus keeps an allocation while there is one, and lets nobody reserve what is not allocated.
func validateClaimStatus(next, old *resourcev1.ResourceClaim) field.ErrorList {
	at := field.NewPath("status")
	n, o := &next.Status, &old.Status
	reserved := at.Child("reservedFor")
	var errs field.ErrorList
	seen := make(map[types.UID]bool, len(n.ReservedFor))
	for i, r := range n.ReservedFor {
		for _, f := range []struct{ name, value string }{{"resource", r.Resource}, {"name", r.Name}, {"uid", string(r.UID)}} {
			if f.value == "" {
				errs = append(errs, field.Required(reserved.Index(i).Child(f.name), ""))
			}
		}
		if seen[r.UID] {
			errs = append(errs, field.Duplicate(reserved.Index(i).Child("uid"), r.UID))
		}
		seen[r.UID] = true
	}
	errs = append(errs, atMost(len(n.ReservedFor), resourcev1.ResourceClaimReservedForMaxSize, reserved)...)
	if n.Allocation != nil {
		errs = append(errs, validateAllocation(n.Allocation, o.Allocation, requestNames(&old.Spec), at.Child("allocation"))...)
	}
	errs = append(errs, validateDeviceStatuses(n, o, at.Child("devices"))...)
	if len(n.ReservedFor) == 0 {
		return errs
	}
	if n.Allocation == nil {
		errs = append(errs, field.Forbidden(reserved, "may not be specified when `allocated` is not set"))
	} else if next.DeletionTimestamp != nil && added(n.ReservedFor, o.ReservedFor) {
		errs = append(errs, field.Forbidden(reserved, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"))
	}
	return errs
}

func validateAllocation(next, old *resourcev1.AllocationResult, known map[string]bool, at *field.Path) field.ErrorList {
	if old != nil {
		if !meta.Equal(next, old) {
			return field.ErrorList{field.Invalid(at, meta.GoNames(next), meta.FieldImmutable)}
		}
		return nil
	}
	errs := validateAllocated(&next.Devices, known, at.Child("devices"))
	if next.NodeSelector != nil {
		errs = append(errs, validateOneTerm(next.NodeSelector, at.Child("nodeSelector"))...)
	}
	return errs
}

// added tells whether somebody reserves who did not before.
func added(next, old []resourcev1.ResourceClaimConsumerReference) bool {
	had := map[string]bool{}
	for _, r := range old {
		had[string(r.UID)] = true
	}
	for _, r := range next {
		if !had[string(r.UID)] {
			return true
		}
	}
	return false
}
