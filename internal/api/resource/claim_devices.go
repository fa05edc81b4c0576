package resource

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/api/validate"
	conditions "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// deviceKey is what allocated devices have to differ in.
type deviceKey struct{ driver, pool, device, share string }

func (k deviceKey) String() string {
	s := k.driver + "/" + k.pool + "/" + k.device
	if k.share != "" {
		s += "/" + k.share
	}
	return s
}

func resultKey(r *resourcev1.DeviceRequestAllocationResult) deviceKey {
	k := deviceKey{driver: r.Driver, pool: r.Pool, device: r.Device}
	if r.ShareID != nil {
		k.share = string(*r.ShareID)
	}
	return k
}

// validateDeviceStatuses checks what drivers tell of the devices that a claim got.
func validateDeviceStatuses(next, old *resourcev1.ResourceClaimStatus, at *field.Path) field.ErrorList {
	if len(next.Devices) == 0 {
		return nil
	}
	allocated := map[deviceKey]bool{}
	if next.Allocation != nil {
		for i := range next.Allocation.Devices.Results {
			allocated[resultKey(&next.Allocation.Devices.Results[i])] = true
		}
	}
	was := make(map[deviceKey]*resourcev1.AllocatedDeviceStatus, len(old.Devices))
	for i := range old.Devices {
		was[statusKey(&old.Devices[i])] = &old.Devices[i]
	}
	seen := make(map[deviceKey]bool, len(next.Devices))
	var errs field.ErrorList
	for i := range next.Devices {
		d, idx := &next.Devices[i], at.Index(i)
		key := statusKey(d)
		if seen[key] {
			errs = append(errs, field.Duplicate(idx, key.String()))
		}
		seen[key] = true
		errs = append(errs, validateDeviceName(d.Driver, d.Pool, d.Device, idx)...)
		if d.ShareID != nil {
			errs = append(errs, validate.UUID(context.Background(), operation.Operation{}, idx.Child("shareID"), d.ShareID, nil)...)
		}
		if !allocated[key] {
			errs = append(errs, field.Invalid(idx, key.String(), "must be an allocated device in the claim"))
		}
		errs = append(errs, atMost(len(d.Conditions), resourcev1.AllocatedDeviceStatusMaxConditions, idx.Child("conditions"))...)
		errs = append(errs, conditions.ValidateConditions(d.Conditions, idx.Child("conditions"))...)
		if before := was[key]; d.Data != nil && len(d.Data.Raw) > 0 && (before == nil || before.Data == nil || string(before.Data.Raw) != string(d.Data.Raw)) {
			errs = append(errs, validateData(d.Data.Raw, idx.Child("data"))...)
		}
		if d.NetworkData != nil {
			errs = append(errs, validateNetworkData(d.NetworkData, idx.Child("networkData"))...)
		}
	}
	return errs
}

func statusKey(d *resourcev1.AllocatedDeviceStatus) deviceKey {
	k := deviceKey{driver: d.Driver, pool: d.Pool, device: d.Device}
	if d.ShareID != nil {
		k.share = *d.ShareID
	}
	return k
}

func validateDeviceName(driver, pool, device string, at *field.Path) field.ErrorList {
	errs := validateDriver(driver, at.Child("driver"))
	errs = append(errs, validatePoolName(pool, at.Child("pool"))...)
	return append(errs, meta.NameError(at.Child("device"), device, meta.DNSLabel)...)
}

func validateData(raw []byte, at *field.Path) field.ErrorList {
	if len(raw) > resourcev1.AllocatedDeviceStatusDataMaxLength {
		return field.ErrorList{field.TooLong(at, "", resourcev1.AllocatedDeviceStatusDataMaxLength)}
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return field.ErrorList{field.Invalid(at, "<value omitted>", fmt.Sprintf("error parsing data as JSON: %v", err))}
	}
	if v == nil {
		return field.ErrorList{field.Required(at, "")}
	}
	if _, ok := v.(map[string]any); !ok {
		return field.ErrorList{field.Invalid(at, "<value omitted>", "must be a valid JSON object")}
	}
	return nil
}

func validateNetworkData(d *resourcev1.NetworkDeviceData, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(d.InterfaceName) > resourcev1.NetworkDeviceDataInterfaceNameMaxLength {
		errs = append(errs, field.TooLong(at.Child("interfaceName"), "", resourcev1.NetworkDeviceDataInterfaceNameMaxLength))
	}
	if len(d.HardwareAddress) > resourcev1.NetworkDeviceDataHardwareAddressMaxLength {
		errs = append(errs, field.TooLong(at.Child("hardwareAddress"), "", resourcev1.NetworkDeviceDataHardwareAddressMaxLength))
	}
	ips := at.Child("ips")
	if n := atMost(len(d.IPs), resourcev1.NetworkDeviceDataMaxIPs, ips); len(n) > 0 {
		return append(errs, n...)
	}
	for i, ip := range d.IPs {
		errs = append(errs, validation.IsValidInterfaceAddress(ips.Index(i), ip)...)
		if slices.Contains(d.IPs[:i], ip) {
			errs = append(errs, field.Duplicate(ips.Index(i), ip))
		}
	}
	return errs
}

var configSources = []resourcev1.AllocationConfigSource{resourcev1.AllocationConfigSourceClaim, resourcev1.AllocationConfigSourceClass}

// validateAllocated checks what a scheduler gives a claim.
func validateAllocated(a *resourcev1.DeviceAllocationResult, known map[string]bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	results := at.Child("results")
	for i := range a.Results {
		r, idx := &a.Results[i], results.Index(i)
		errs = append(errs, validateName(r.Request, known, idx.Child("request"))...)
		errs = append(errs, validateDeviceName(r.Driver, r.Pool, r.Device, idx)...)
		errs = append(errs, validateBinding(r.BindingConditions, r.BindingFailureConditions, idx)...)
		errs = append(errs, validateTolerations(r.Tolerations, idx.Child("tolerations"))...)
		if r.ShareID != nil {
			errs = append(errs, validate.UUID(context.Background(), operation.Operation{}, idx.Child("shareID"), r.ShareID, nil)...)
		}
		for name := range r.ConsumedCapacity {
			errs = append(errs, validateQualified(string(name), idx.Child("consumedCapacity").Key(string(name)))...)
		}
	}
	errs = append(errs, atMost(len(a.Results), resourcev1.AllocationResultsMaxSize, results)...)
	configs := at.Child("config")
	for i := range a.Config {
		c, idx := &a.Config[i], configs.Index(i)
		if c.Source == "" {
			errs = append(errs, field.Required(idx.Child("source"), ""))
		} else if !slices.Contains(configSources, c.Source) {
			errs = append(errs, field.NotSupported(idx.Child("source"), c.Source, configSources))
		}
		errs = append(errs, validateNames(c.Requests, known, idx.Child("requests"))...)
		errs = append(errs, validateConfiguration(&c.DeviceConfiguration, true, idx)...)
	}
	// Those of the class come before those of the claim.
	return append(errs, atMost(len(a.Config), 2*resourcev1.DeviceConfigMaxSize, configs)...)
}

// requestNames are the requests of a claim, and their alternatives.
func requestNames(s *resourcev1.ResourceClaimSpec) map[string]bool {
	known := map[string]bool{}
	for i := range s.Devices.Requests {
		r := &s.Devices.Requests[i]
		known[r.Name] = true
		for j := range r.FirstAvailable {
			known[r.Name+"/"+r.FirstAvailable[j].Name] = true
		}
	}
	return known
}

// validateFullName checks an attribute that has a domain before its name.
func validateFullName(name *resourcev1.FullyQualifiedName, at *field.Path) field.ErrorList {
	if name == nil {
		return nil
	}
	return validate.ResourceFullyQualifiedName(context.Background(), operation.Operation{}, at, name, nil)
}
