package storage

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultStorageClass(o *storagev1.StorageClass) {
	meta.DefaultAt(&o.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)
	meta.DefaultAt(&o.VolumeBindingMode, storagev1.VolumeBindingImmediate)
}

// name checks a driver's name that must be there: a qualified name, whatever its case.
func driverName(v string, at *field.Path) field.ErrorList {
	if v == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	return meta.NameError(at, strings.ToLower(v), meta.QualifiedName)
}

func validateParameters(ps map[string]string, allowEmpty bool) field.ErrorList {
	at := field.NewPath("parameters")
	if len(ps) > 512 {
		return field.ErrorList{field.TooLong(at, "Provisioner Parameters exceeded max allowed", 512)}
	}
	var errs field.ErrorList
	size := 0
	for k, v := range ps {
		if k == "" {
			errs = append(errs, field.Invalid(at, k, "field can not be empty."))
		}
		size += len(k) + len(v)
	}
	if size > 256*1024 {
		errs = append(errs, field.TooLong(at, "", 256*1024))
	}
	if !allowEmpty && len(ps) == 0 {
		errs = append(errs, field.Required(at, "must contain at least one key/value pair"))
	}
	return errs
}

func validateStorageClass(o *storagev1.StorageClass) field.ErrorList {
	errs := driverName(o.Provisioner, field.NewPath("provisioner"))
	errs = append(errs, validateParameters(o.Parameters, true)...)
	if p := o.ReclaimPolicy; p != nil && *p != "" && *p != corev1.PersistentVolumeReclaimDelete && *p != corev1.PersistentVolumeReclaimRetain {
		errs = append(errs, field.NotSupported(field.NewPath("reclaimPolicy"), *p, []corev1.PersistentVolumeReclaimPolicy{corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain}))
	}
	if m := o.VolumeBindingMode; m != nil && *m != storagev1.VolumeBindingImmediate && *m != storagev1.VolumeBindingWaitForFirstConsumer {
		errs = append(errs, field.NotSupported(field.NewPath("volumeBindingMode"), *m, []storagev1.VolumeBindingMode{storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer}))
	}
	seen := map[string]int{}
	for i := range o.AllowedTopologies {
		at := field.NewPath("allowedTopologies").Index(i)
		errs = append(errs, validateTopology(&o.AllowedTopologies[i], at)...)
		key := topologyKey(&o.AllowedTopologies[i])
		same := seen[key]
		if len(o.AllowedTopologies[i].MatchLabelExpressions) == 0 {
			same += len(o.AllowedTopologies) // compat: a term that says nothing is as good as all that are not looked at yet
		}
		for range same {
			errs = append(errs, field.Duplicate(at.Child("matchLabelExpressions"), ""))
		}
		seen[key]++
	}
	return errs
}

// topologyKey is the same for terms that mean the same, whatever the order of their keys and values.
func topologyKey(t *corev1.TopologySelectorTerm) string {
	requirements := make([]string, len(t.MatchLabelExpressions))
	for i, e := range t.MatchLabelExpressions {
		values := slices.Sorted(slices.Values(e.Values))
		requirements[i] = fmt.Sprintf("%q %q", e.Key, slices.Compact(values))
	}
	slices.Sort(requirements)
	return strings.Join(requirements, "\n")
}

func validateTopology(t *corev1.TopologySelectorTerm, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	keys := map[string]bool{}
	for i, e := range t.MatchLabelExpressions {
		idx := at.Child("matchLabelExpressions").Index(i)
		if len(e.Values) == 0 {
			errs = append(errs, field.Required(idx.Child("values"), ""))
		}
		values := map[string]bool{}
		for j, v := range e.Values {
			if values[v] {
				errs = append(errs, field.Duplicate(idx.Child("values").Index(j), v))
			}
			values[v] = true
		}
		errs = append(errs, meta.LabelName(e.Key, idx.Child("key"))...)
		if keys[e.Key] {
			errs = append(errs, field.Duplicate(idx.Child("key"), e.Key))
		}
		keys[e.Key] = true
	}
	return errs
}

func validateStorageClassUpdate(next, old *storagev1.StorageClass) field.ErrorList {
	errs := validateStorageClass(next)
	if !equality.Semantic.DeepEqual(next.Parameters, old.Parameters) {
		errs = append(errs, field.Forbidden(field.NewPath("parameters"), "updates to parameters are forbidden."))
	}
	if next.Provisioner != old.Provisioner {
		errs = append(errs, field.Forbidden(field.NewPath("provisioner"), "updates to provisioner are forbidden."))
	}
	if !equality.Semantic.DeepEqual(next.ReclaimPolicy, old.ReclaimPolicy) {
		errs = append(errs, field.Forbidden(field.NewPath("reclaimPolicy"), "updates to reclaimPolicy are forbidden."))
	}
	if !equality.Semantic.DeepEqual(next.VolumeBindingMode, old.VolumeBindingMode) {
		errs = append(errs, field.Invalid(field.NewPath("volumeBindingMode"), next.VolumeBindingMode, meta.FieldImmutable))
	}
	return errs
}

// isDefaultClass marks the class that claims get which name none.
const isDefaultClass = "storageclass.kubernetes.io/is-default-class"

func classText(o *storagev1.StorageClass) string {
	if o.Annotations[isDefaultClass] == "true" || o.Annotations["storageclass.beta.kubernetes.io/is-default-class"] == "true" {
		return o.Name + " (default)"
	}
	return o.Name
}

func orUnset[T ~string](v *T) string {
	if v == nil {
		return "<unset>"
	}
	return string(*v)
}

// expansion is a truth value although the column's head says that it is text.
func expansion(v *bool) bool { return v != nil && *v }

func validateAttributesClass(o *storagev1.VolumeAttributesClass) field.ErrorList {
	errs := driverName(o.DriverName, field.NewPath("driverName"))
	return append(errs, validateParameters(o.Parameters, false)...)
}

func validateAttributesClassUpdate(next, old *storagev1.VolumeAttributesClass) field.ErrorList {
	var errs field.ErrorList
	if next.DriverName != old.DriverName {
		errs = append(errs, field.Forbidden(field.NewPath("driverName"), "updates to driverName are forbidden."))
	}
	if !equality.Semantic.DeepEqual(next.Parameters, old.Parameters) {
		errs = append(errs, field.Forbidden(field.NewPath("parameters"), "updates to parameters are forbidden."))
	}
	return errs
}
