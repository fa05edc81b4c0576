package storage

import (
	"slices"
	"strings"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var specPath = field.NewPath("spec")

func defaultCSIDriver(o *storagev1.CSIDriver) {
	s := &o.Spec
	meta.DefaultAt(&s.AttachRequired, true)
	meta.DefaultAt(&s.PodInfoOnMount, false)
	meta.DefaultAt(&s.StorageCapacity, false)
	meta.DefaultAt(&s.FSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)
	if len(s.VolumeLifecycleModes) == 0 {
		s.VolumeLifecycleModes = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent}
	}
	meta.DefaultAt(&s.RequiresRepublish, false)
	meta.DefaultAt(&s.SELinuxMount, false)
}

var (
	lifecycleModes  = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral}
	fsGroupPolicies = []storagev1.FSGroupPolicy{storagev1.FileFSGroupPolicy, storagev1.NoneFSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy}
)

func validateCSIDriver(o *storagev1.CSIDriver) field.ErrorList {
	s := &o.Spec
	var errs field.ErrorList
	if p := s.FSGroupPolicy; p != nil && !slices.Contains(fsGroupPolicies, *p) {
		errs = append(errs, field.NotSupported(specPath.Child("fsGroupPolicy"), *p, fsGroupPolicies))
	}
	seen := make(map[string]bool, len(s.TokenRequests))
	for i, t := range s.TokenRequests {
		idx := specPath.Child("tokenRequests").Index(i)
		if seen[t.Audience] {
			errs = append(errs, field.Duplicate(idx.Child("audience"), t.Audience))
			continue
		}
		seen[t.Audience] = true
		if e := t.ExpirationSeconds; e != nil {
			if *e < 10*60 {
				errs = append(errs, field.Invalid(idx.Child("expirationSeconds"), *e, "may not specify a duration less than 10 minutes"))
			}
			if *e > 1<<32 {
				errs = append(errs, field.Invalid(idx.Child("expirationSeconds"), *e, "may not specify a duration larger than 2^32 seconds"))
			}
		}
	}
	if p := s.NodeAllocatableUpdatePeriodSeconds; p != nil && *p < 10 {
		errs = append(errs, field.Invalid(specPath.Child("nodeAllocatableUpdatePeriodSeconds"), *p, "must be greater than or equal to 10 seconds"))
	}
	if in := s.ServiceAccountTokenInSecrets; in != nil && len(s.TokenRequests) == 0 {
		errs = append(errs, field.Invalid(specPath.Child("serviceAccountTokenInSecrets"), *in, "serviceAccountTokenInSecrets is set but no tokenRequests are specified"))
	}
	for _, m := range s.VolumeLifecycleModes {
		if !slices.Contains(lifecycleModes, m) {
			errs = append(errs, field.NotSupported(specPath.Child("volumeLifecycleModes"), m, lifecycleModes))
		}
	}
	return errs
}

func validateCSIDriverUpdate(next, old *storagev1.CSIDriver) field.ErrorList {
	errs := validateCSIDriver(next)
	if !equality.Semantic.DeepEqual(next.Spec.AttachRequired, old.Spec.AttachRequired) {
		errs = append(errs, field.Invalid(specPath.Child("attachedRequired"), next.Spec.AttachRequired, meta.FieldImmutable))
	}
	if !equality.Semantic.DeepEqual(next.Spec.VolumeLifecycleModes, old.Spec.VolumeLifecycleModes) {
		errs = append(errs, field.Invalid(specPath.Child("volumeLifecycleModes"), next.Spec.VolumeLifecycleModes, meta.FieldImmutable))
	}
	return errs
}

func warnCSIDriver(next, _ *storagev1.CSIDriver) []string {
	if len(next.Spec.TokenRequests) > 0 && next.Spec.ServiceAccountTokenInSecrets == nil {
		return []string{"spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes"}
	}
	return nil
}

func tokenText(o *storagev1.CSIDriver) string {
	var list []string
	for _, t := range o.Spec.TokenRequests {
		list = append(list, t.Audience)
	}
	if len(list) == 0 {
		return "<unset>"
	}
	return strings.Join(list, ",")
}

func modesText(o *storagev1.CSIDriver) string {
	var list []string
	for _, m := range o.Spec.VolumeLifecycleModes {
		list = append(list, string(m))
	}
	if len(list) == 0 {
		return "<none>"
	}
	return strings.Join(list, ",")
}

func validateCSINode(o *storagev1.CSINode) field.ErrorList {
	var errs field.ErrorList
	at := specPath.Child("drivers")
	named := make(map[string]bool, len(o.Spec.Drivers))
	for i, d := range o.Spec.Drivers {
		idx := at.Index(i)
		errs = append(errs, core.ValidateCSIDriverName(d.Name, idx.Child("name"))...)
		if d.NodeID == "" {
			errs = append(errs, field.Required(idx.Child("nodeID"), d.NodeID))
		} else if len(d.NodeID) > 256 {
			errs = append(errs, field.Invalid(idx.Child("nodeID"), d.NodeID, "must be 256 characters or less"))
		}
		if a := d.Allocatable; a != nil && a.Count != nil {
			errs = append(errs, meta.NonNegative(*a.Count, idx.Child("allocatable"), "count")...)
		}
		if named[d.Name] {
			errs = append(errs, field.Duplicate(idx.Child("name"), d.Name))
		}
		named[d.Name] = true
		seen := map[string]bool{}
		for _, k := range d.TopologyKeys {
			if k == "" {
				errs = append(errs, field.Required(idx, "")) // compat: what is told of keys is told of the driver
			}
			if seen[k] {
				errs = append(errs, field.Duplicate(idx, k))
			}
			seen[k] = true
			errs = append(errs, meta.LabelName(k, idx)...)
		}
	}
	return errs
}

// validateCSINodeUpdate keeps what a driver told of its node, but for how many volumes it takes.
func validateCSINodeUpdate(next, old *storagev1.CSINode) field.ErrorList {
	errs := validateCSINode(next)
	had := make(map[string]*storagev1.CSINodeDriver, len(old.Spec.Drivers))
	for i := range old.Spec.Drivers {
		had[old.Spec.Drivers[i].Name] = &old.Spec.Drivers[i]
	}
	for _, is := range next.Spec.Drivers {
		if was := had[is.Name]; was != nil && (is.NodeID != was.NodeID || !slices.Equal(is.TopologyKeys, was.TopologyKeys)) {
			errs = append(errs, field.Invalid(field.NewPath("CSINodeDriver"), meta.GoNames(is), meta.FieldImmutable))
		}
	}
	return errs
}

func validateCapacity(o *storagev1.CSIStorageCapacity) field.ErrorList {
	errs := meta.LabelSelector(o.NodeTopology, field.NewPath("nodeTopology"))
	errs = append(errs, meta.NameError(field.NewPath("storageClassName"), o.StorageClassName, meta.DNSSubdomain)...)
	// compat: nobody looks at maximumVolumeSize.
	if q := o.Capacity; q != nil && q.Sign() < 0 {
		errs = append(errs, field.Invalid(field.NewPath("capacity"), q.String(), "must be greater than or equal to 0"))
	}
	return errs
}

func validateCapacityUpdate(next, old *storagev1.CSIStorageCapacity) field.ErrorList {
	errs := validateCapacity(next)
	if !equality.Semantic.DeepEqual(next.NodeTopology, old.NodeTopology) {
		errs = append(errs, field.Invalid(field.NewPath("nodeTopology"), next.NodeTopology, meta.FieldImmutable))
	}
	if next.StorageClassName != old.StorageClassName {
		errs = append(errs, field.Invalid(field.NewPath("storageClassName"), next.StorageClassName, meta.FieldImmutable))
	}
	return errs
}
