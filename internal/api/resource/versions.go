package resource

import (
	resourcev1 "k8s.io/api/resource/v1"
	resourcev1beta1 "k8s.io/api/resource/v1beta1"
	resourcev1beta2 "k8s.io/api/resource/v1beta2"

	"github.com/skiff-k8s/skiff/internal/api"
)

// v1beta2 has the fields of v1. In v1beta1 a request of a claim is itself what v1 puts
// under "exactly", and a device of a slice has what it is under "basic".

var (
	classVersions = api.Versions{
		api.As[resourcev1.DeviceClass, resourcev1beta2.DeviceClass]{Version: resourcev1beta2.SchemeGroupVersion, List: &resourcev1beta2.DeviceClassList{}},
		api.As[resourcev1.DeviceClass, resourcev1beta1.DeviceClass]{Version: resourcev1beta1.SchemeGroupVersion, List: &resourcev1beta1.DeviceClassList{}},
	}
	taintRuleVersions = api.Versions{
		api.As[resourcev1.DeviceTaintRule, resourcev1beta2.DeviceTaintRule]{Version: resourcev1beta2.SchemeGroupVersion, List: &resourcev1beta2.DeviceTaintRuleList{}},
	}
	claimVersions = api.Versions{
		api.As[resourcev1.ResourceClaim, resourcev1beta2.ResourceClaim]{Version: resourcev1beta2.SchemeGroupVersion, List: &resourcev1beta2.ResourceClaimList{}},
		api.As[resourcev1.ResourceClaim, resourcev1beta1.ResourceClaim]{Version: resourcev1beta1.SchemeGroupVersion, List: &resourcev1beta1.ResourceClaimList{},
			Read: func(from *resourcev1beta1.ResourceClaim, to *resourcev1.ResourceClaim) error {
				if err := api.Recode(from, to); err != nil {
					return err
				}
				return readRequests(&from.Spec, &to.Spec)
			},
			Show: func(from *resourcev1.ResourceClaim, to *resourcev1beta1.ResourceClaim) error {
				if err := api.Recode(from, to); err != nil {
					return err
				}
				return showRequests(&from.Spec, &to.Spec)
			}},
	}
	templateVersions = api.Versions{
		api.As[resourcev1.ResourceClaimTemplate, resourcev1beta2.ResourceClaimTemplate]{Version: resourcev1beta2.SchemeGroupVersion, List: &resourcev1beta2.ResourceClaimTemplateList{}},
		api.As[resourcev1.ResourceClaimTemplate, resourcev1beta1.ResourceClaimTemplate]{Version: resourcev1beta1.SchemeGroupVersion, List: &resourcev1beta1.ResourceClaimTemplateList{},
			Read: func(from *resourcev1beta1.ResourceClaimTemplate, to *resourcev1.ResourceClaimTemplate) error {
				if err := api.Recode(from, to); err != nil {
					return err
				}
				return readRequests(&from.Spec.Spec, &to.Spec.Spec)
			},
			Show: func(from *resourcev1.ResourceClaimTemplate, to *resourcev1beta1.ResourceClaimTemplate) error {
				if err := api.Recode(from, to); err != nil {
					return err
				}
				return showRequests(&from.Spec.Spec, &to.Spec.Spec)
			}},
	}
	sliceVersions = api.Versions{
		api.As[resourcev1.ResourceSlice, resourcev1beta2.ResourceSlice]{Version: resourcev1beta2.SchemeGroupVersion, List: &resourcev1beta2.ResourceSliceList{}},
		api.As[resourcev1.ResourceSlice, resourcev1beta1.ResourceSlice]{Version: resourcev1beta1.SchemeGroupVersion, List: &resourcev1beta1.ResourceSliceList{},
			Read: readSlice, Show: showSlice},
	}
)

func readRequests(from *resourcev1beta1.ResourceClaimSpec, to *resourcev1.ResourceClaimSpec) error {
	for i := range from.Devices.Requests {
		r := &from.Devices.Requests[i]
		if r.DeviceClassName == "" && r.Selectors == nil && r.AllocationMode == "" && r.Count == 0 && r.AdminAccess == nil && r.Tolerations == nil && r.Capacity == nil && r.DerivedAttributes == nil {
			continue // alternatives, in firstAvailable
		}
		exactly := &resourcev1.ExactDeviceRequest{}
		if err := api.Recode(r, exactly); err != nil {
			return err
		}
		to.Devices.Requests[i].Exactly = exactly
	}
	return nil
}

func showRequests(from *resourcev1.ResourceClaimSpec, to *resourcev1beta1.ResourceClaimSpec) error {
	for i := range from.Devices.Requests {
		if exactly := from.Devices.Requests[i].Exactly; exactly != nil {
			if err := api.Recode(exactly, &to.Devices.Requests[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func readSlice(from *resourcev1beta1.ResourceSlice, to *resourcev1.ResourceSlice) error {
	if err := api.Recode(from, to); err != nil {
		return err
	}
	for i := range from.Spec.Devices {
		if basic := from.Spec.Devices[i].Basic; basic != nil {
			if err := api.Recode(basic, &to.Spec.Devices[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func showSlice(from *resourcev1.ResourceSlice, to *resourcev1beta1.ResourceSlice) error {
	if err := api.Recode(from, to); err != nil {
		return err
	}
	for i := range from.Spec.Devices {
		basic := &resourcev1beta1.BasicDevice{}
		if err := api.Recode(&from.Spec.Devices[i], basic); err != nil {
			return err
		}
		to.Spec.Devices[i].Basic = basic
	}
	return nil
}
