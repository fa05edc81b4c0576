package resource

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// TestAdminPaths: where devices are asked for that others use, and where they are given.
func TestAdminPaths(t *testing.T) {
	yes, no := true, false
	request := func(admin *bool) []resourcev1.DeviceRequest {
		return []resourcev1.DeviceRequest{{Name: "a", FirstAvailable: []resourcev1.DeviceSubRequest{{Name: "b"}}}, {Name: "c", Exactly: &resourcev1.ExactDeviceRequest{AdminAccess: admin}}}
	}
	claim := func(admin *bool) *resourcev1.ResourceClaim {
		o := &resourcev1.ResourceClaim{}
		o.Spec.Devices.Requests = request(admin)
		return o
	}
	template := &resourcev1.ResourceClaimTemplate{}
	template.Spec.Spec.Devices.Requests = request(&yes)
	const at = "spec.devices.requests[1].adminAccess"
	for name, c := range map[string]struct {
		o    api.Object
		want string
	}{"a claim": {claim(&yes), at}, "a template": {template, at}, "a claim that does not": {claim(&no), ""}, "a claim that says nothing": {claim(nil), ""}, "a pod": {&corev1.Pod{}, ""}} {
		if p := AdminRequest(c.o); p.String() != c.want && (p != nil || c.want != "") {
			t.Errorf("%s asks at %s, want %q", name, p, c.want)
		}
		for label, n := range map[string]int{"true": 0, "false": 1, "": 1} {
			if c.want == "" {
				n = 0
			}
			if errs := AdminAccess(c.o, map[string]string{resourcev1.DRAAdminNamespaceLabelKey: label}); len(errs) != n {
				t.Errorf("%s where the label is %q: %v", name, label, errs)
			}
		}
	}
	granted := func(admin ...*bool) *resourcev1.ResourceClaim {
		o := &resourcev1.ResourceClaim{Status: resourcev1.ResourceClaimStatus{Allocation: &resourcev1.AllocationResult{}}}
		for _, a := range admin {
			o.Status.Allocation.Devices.Results = append(o.Status.Allocation.Devices.Results, resourcev1.DeviceRequestAllocationResult{AdminAccess: a})
		}
		return o
	}
	for name, c := range map[string]struct {
		next, old *resourcev1.ResourceClaim
		want      string
	}{
		"nothing":      {claim(&yes), claim(&yes), ""},
		"a plain one":  {granted(nil, &no), claim(nil), ""},
		"a second one": {granted(nil, &yes), claim(nil), "status.allocation.devices.results[1].adminAccess"},
		"the old one":  {granted(nil, &yes), granted(&yes), ""},
	} {
		if p := AdminGrant(c.next, c.old); p.String() != c.want && (p != nil || c.want != "") {
			t.Errorf("%s is granted at %s, want %q", name, p, c.want)
		}
	}
}
