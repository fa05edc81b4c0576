package resource

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

func expect(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, e := range errs {
		got = append(got, e.Error())
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("- wanted, + got\n%s", d)
	}
}

func selectors(texts ...string) []resourcev1.DeviceSelector {
	var out []resourcev1.DeviceSelector
	for _, t := range texts {
		out = append(out, resourcev1.DeviceSelector{CEL: &resourcev1.CELDeviceSelector{Expression: t}})
	}
	return out
}

const good = "device.driver == 'a'"

func TestSelectors(t *testing.T) {
	every := "device.attributes.all(a, device.attributes[a].all(b, device.attributes.all(c, device.attributes[c].all(d, device.attributes.all(e, device.attributes[e].all(f, d == f))))))"
	for name, c := range map[string]struct {
		selectors []resourcev1.DeviceSelector
		want      []string
	}{
		"none":     {nil, nil},
		"good":     {selectors(good, "device.attributes['a'].b", "device.capacity['a'].c.compareTo(quantity('1Gi')) >= 0"), nil},
		"no bool":  {selectors("1"), []string{`spec.selectors[0].cel.expression: Invalid value: "1": must evaluate to bool or the unknown type, not int`}},
		"unknown":  {selectors(good, "device.nope"), []string{"spec.selectors[1].cel.expression: Invalid value: \"device.nope\": compilation failed: ERROR: <input>:1:7: undefined field 'nope'\n | device.nope\n | ......^"}},
		"empty":    {selectors(""), []string{"spec.selectors[0].cel.expression: Invalid value: \"\": compilation failed: ERROR: <input>:1:0: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"}},
		"no cel":   {[]resourcev1.DeviceSelector{{}}, []string{"spec.selectors[0].cel: Required value"}},
		"long":     {selectors("'" + strings.Repeat("a", 10*1024) + "' == ''"), []string{"spec.selectors[0].cel.expression: Too long: may not be more than 10240 bytes"}},
		"costly":   {selectors(every), []string{"spec.selectors[0].cel.expression: Forbidden: too complex, exceeds cost limit"}},
		"too many": {selectors(strings.Split(strings.Repeat(good+"\n", 32)+good, "\n")...), []string{"spec.selectors: Too many: 33: must have at most 32 items"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := &resourcev1.DeviceClass{Spec: resourcev1.DeviceClassSpec{Selectors: c.selectors}}
			expect(t, DeviceClass.Validate(o), c.want...)
		})
	}
}

func TestSelectorsThatWereThere(t *testing.T) {
	old := &resourcev1.DeviceClass{Spec: resourcev1.DeviceClassSpec{Selectors: selectors("nope")}}
	next := old.DeepCopy()
	next.Spec.Config = []resourcev1.DeviceClassConfiguration{{}}
	expect(t, DeviceClass.ValidateUpdate(next, old), "spec.config[0].opaque: Required value")
	next.Spec.Config = nil
	next.Spec.Selectors = append(next.Spec.Selectors, selectors(good)...)
	expect(t, DeviceClass.ValidateUpdate(next, old), "spec.selectors[0].cel.expression: Invalid value: \"nope\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'nope' (in container '')\n | nope\n | ^")
}

func claim() *resourcev1.ResourceClaim {
	o := &resourcev1.ResourceClaim{Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{
		{Name: "a", FirstAvailable: []resourcev1.DeviceSubRequest{{Name: "x", DeviceClassName: "c", Selectors: selectors(good)}}},
		{Name: "b", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "c", Selectors: selectors(good)}},
	}}}}
	defaultClaim(&o.Spec)
	return o
}

func TestSelectorsOfClaims(t *testing.T) {
	expect(t, ResourceClaim.Validate(claim()))
	o := claim()
	o.Spec.Devices.Requests[0].FirstAvailable[0].Selectors = selectors("1")
	o.Spec.Devices.Requests[1].Exactly.Selectors = selectors(good, "'a'")
	want := []string{
		`devices.requests[0].firstAvailable[0].selectors[0].cel.expression: Invalid value: "1": must evaluate to bool or the unknown type, not int`,
		`devices.requests[1].exactly.selectors[1].cel.expression: Invalid value: "'a'": must evaluate to bool or the unknown type, not string`,
	}
	expect(t, ResourceClaim.Validate(o), "spec."+want[0], "spec."+want[1])
	expect(t, ResourceClaim.ValidateUpdate(o, o))
	template := &resourcev1.ResourceClaimTemplate{Spec: resourcev1.ResourceClaimTemplateSpec{Spec: o.Spec}}
	expect(t, ResourceClaimTemplate.Validate(template), "spec.spec."+want[0], "spec.spec."+want[1])
	expect(t, ResourceClaimTemplate.ValidateUpdate(template, template))
}

func TestAdminAccess(t *testing.T) {
	yes, no := true, false
	plain, asks := claim(), claim()
	plain.Spec.Devices.Requests[1].Exactly.AdminAccess = &no
	asks.Spec.Devices.Requests[1].Exactly.AdminAccess = &yes
	template := &resourcev1.ResourceClaimTemplate{Spec: resourcev1.ResourceClaimTemplateSpec{Spec: asks.Spec}}
	allowed := map[string]string{"resource.kubernetes.io/admin-access": "true"}
	const refused = "spec.devices.requests[1].adminAccess: Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace"
	expect(t, AdminAccess(plain, nil))
	for _, o := range []api.Object{asks, template} {
		expect(t, AdminAccess(o, allowed))
		expect(t, AdminAccess(o, nil), refused)
		expect(t, AdminAccess(o, map[string]string{"resource.kubernetes.io/admin-access": "yes"}), refused)
	}

	granted := claim()
	granted.Status.Allocation = &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{{}, {AdminAccess: &yes}}}}
	if at := AdminGrant(granted, plain); at.String() != "status.allocation.devices.results[1].adminAccess" {
		t.Errorf("granted at %v", at)
	}
	if at := AdminGrant(granted, granted); at != nil {
		t.Errorf("granted again at %v", at)
	}
}

func TestClaims(t *testing.T) {
	attribute := resourcev1.FullyQualifiedName("a.example.com/b")
	opaque := func(parameters string) resourcev1.DeviceClaimConfiguration {
		c := resourcev1.DeviceClaimConfiguration{DeviceConfiguration: resourcev1.DeviceConfiguration{Opaque: &resourcev1.OpaqueDeviceConfiguration{Driver: "a.example.com"}}}
		c.Opaque.Parameters.Raw = []byte(parameters)
		return c
	}
	for name, c := range map[string]struct {
		edit func(*resourcev1.DeviceClaim)
		want []string
	}{
		"constraint": {func(d *resourcev1.DeviceClaim) {
			d.Constraints = []resourcev1.DeviceConstraint{{Requests: []string{"a", "a/x", "b"}, MatchAttribute: &attribute}, {DistinctAttribute: &attribute}}
		}, nil},
		"constraint of nothing": {func(d *resourcev1.DeviceClaim) { d.Constraints = make([]resourcev1.DeviceConstraint, 1) },
			[]string{"spec.devices.constraints[0]: Required value: exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set"}},
		"constraint of a name too deep": {func(d *resourcev1.DeviceClaim) {
			d.Constraints = []resourcev1.DeviceConstraint{{Requests: []string{"a/x/y"}, MatchAttribute: &attribute}}
		}, []string{`spec.devices.constraints[0].requests[0]: Invalid value: "a/x/y": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'`}},
		"alternative twice": {func(d *resourcev1.DeviceClaim) {
			d.Requests[0].FirstAvailable = append(d.Requests[0].FirstAvailable, d.Requests[0].FirstAvailable[0])
		}, []string{`spec.devices.requests[0].firstAvailable[1]: Duplicate value: "x"`}},
		"too many constraints": {func(d *resourcev1.DeviceClaim) {
			for range 33 {
				d.Constraints = append(d.Constraints, resourcev1.DeviceConstraint{MatchAttribute: &attribute})
			}
		}, []string{"spec.devices.constraints: Too many: 33: must have at most 32 items"}},
		"parameters": {func(d *resourcev1.DeviceClaim) { d.Config = []resourcev1.DeviceClaimConfiguration{opaque(`{"a": 1}`)} }, nil},
		"parameters that are no object": {func(d *resourcev1.DeviceClaim) {
			d.Config = []resourcev1.DeviceClaimConfiguration{opaque("[1]"), opaque("null"), opaque(`{"a": "` + strings.Repeat("a", 10*1024) + `"}`)}
		}, []string{
			`spec.devices.config[0].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object`,
			"spec.devices.config[1].opaque.parameters: Required value",
			"spec.devices.config[2].opaque.parameters: Too long: may not be more than 10240 bytes",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := claim()
			c.edit(&o.Spec.Devices)
			expect(t, ResourceClaim.Validate(o), c.want...)
		})
	}
}
