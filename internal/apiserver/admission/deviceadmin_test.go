package admission

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
)

func TestDeviceAdminAccess(t *testing.T) {
	yes := true
	c := NewChain(Config{Reader: clienttest.New(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "users"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "admins", Labels: map[string]string{resourcev1.DRAAdminNamespaceLabelKey: "true"}}})})
	claim := func(namespace string, asks bool) *resourcev1.ResourceClaim {
		return &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: namespace}, Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{
			Requests: []resourcev1.DeviceRequest{{Name: "r", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "c", AdminAccess: &asks}}}}}}
	}
	granted := func(namespace string) *resourcev1.ResourceClaim {
		o := claim(namespace, true)
		o.Status.Allocation = &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{{AdminAccess: &yes}}}}
		return o
	}
	for _, x := range []struct {
		name, refusal string
		a             Attributes
	}{
		{"a plain claim", "", Attributes{Operation: Create, Object: claim("users", false)}},
		{"a claim of users", "spec.devices.requests[0].adminAccess: Forbidden", Attributes{Operation: Create, Object: claim("users", true)}},
		{"a claim of admins", "", Attributes{Operation: Create, Object: claim("admins", true)}},
		{"a grant to users", "status.allocation.devices.results[0].adminAccess: Forbidden", Attributes{Operation: Update, Subresource: "status", Object: granted("users"), Old: claim("users", true)}},
		{"a grant that was there", "", Attributes{Operation: Update, Subresource: "status", Object: granted("users"), Old: granted("users")}},
		{"a grant to admins", "", Attributes{Operation: Update, Subresource: "status", Object: granted("admins"), Old: claim("admins", true)}},
	} {
		x.a.Resource, x.a.Name, x.a.Namespace = all.Of(x.a.Object), "a", x.a.Object.GetNamespace()
		err := c.Validate(t.Context(), &x.a)
		if x.refusal == "" && err == nil {
			continue
		}
		if x.refusal == "" || !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), x.refusal) {
			t.Errorf("%s: %v, want %q", x.name, err, x.refusal)
		}
	}
}
