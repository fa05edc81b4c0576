package resource

import (
	"fmt"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// AdminRequest is where a new ResourceClaim or ResourceClaimTemplate asks for devices
// that others use; nil: nowhere.
func AdminRequest(claim api.Object) *field.Path {
	var requests []resourcev1.DeviceRequest
	switch o := claim.(type) {
	case *resourcev1.ResourceClaim:
		requests = o.Spec.Devices.Requests
	case *resourcev1.ResourceClaimTemplate:
		requests = o.Spec.Spec.Devices.Requests
	}
	for i := range requests {
		if e := requests[i].Exactly; e != nil && e.AdminAccess != nil && *e.AdminAccess {
			// compat: the path is that of v1beta1, also in v1 and in templates.
			return specPath.Child("devices", "requests").Index(i).Child("adminAccess")
		}
	}
	return nil
}

// AdminGrant is where an update of a ResourceClaim's status gives such devices to a
// claim that had none; nil: nowhere.
func AdminGrant(next, old *resourcev1.ResourceClaim) *field.Path {
	if adminResult(old) >= 0 {
		return nil
	}
	if i := adminResult(next); i >= 0 {
		return field.NewPath("status", "allocation", "devices", "results").Index(i).Child("adminAccess")
	}
	return nil
}

func adminResult(o *resourcev1.ResourceClaim) int {
	if o.Status.Allocation == nil {
		return -1
	}
	for i, r := range o.Status.Allocation.Devices.Results {
		if r.AdminAccess != nil && *r.AdminAccess {
			return i
		}
	}
	return -1
}

// AdminAccess refuses claims for devices that others use outside of namespaces whose
// labels allow it.
func AdminAccess(claim api.Object, namespaceLabels map[string]string) field.ErrorList {
	return AdminAccessAt(AdminRequest(claim), namespaceLabels)
}

// AdminAccessAt does the same for what AdminRequest or AdminGrant found.
func AdminAccessAt(at *field.Path, namespaceLabels map[string]string) field.ErrorList {
	if at == nil || namespaceLabels[resourcev1.DRAAdminNamespaceLabelKey] == "true" {
		return nil
	}
	return field.ErrorList{field.Forbidden(at, fmt.Sprintf("admin access to devices requires the `%s: true` label on the containing namespace", resourcev1.DRAAdminNamespaceLabelKey))}
}
