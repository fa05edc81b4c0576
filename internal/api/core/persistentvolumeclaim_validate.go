package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var (
	accessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod}
	volumeModes = []corev1.PersistentVolumeMode{corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem}
)

func validateAccessModes(modes []corev1.PersistentVolumeAccessMode, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, m := range modes {
		errs = append(errs, supported(at, m, accessModes)...)
	}
	if slices.Contains(modes, corev1.ReadWriteOncePod) && slices.ContainsFunc(modes, func(m corev1.PersistentVolumeAccessMode) bool {
		return m != corev1.ReadWriteOncePod && slices.Contains(accessModes, m)
	}) {
		errs = append(errs, field.Forbidden(at, "may not use ReadWriteOncePod with other access modes"))
	}
	return errs
}

// ValidateClaimSpec checks what a claim asks for.
func ValidateClaimSpec(s *corev1.PersistentVolumeClaimSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(s.AccessModes) == 0 {
		errs = append(errs, field.Required(at.Child("accessModes"), "at least 1 access mode is required"))
	}
	if s.Selector != nil {
		errs = append(errs, meta.LabelSelector(s.Selector, meta.Child(at, "selector"))...)
	}
	errs = append(errs, validateAccessModes(s.AccessModes, meta.Child(at, "accessModes"))...)
	if q, ok := s.Resources.Requests[corev1.ResourceStorage]; !ok {
		errs = append(errs, field.Required(at.Child("resources").Key("storage"), ""))
	} else if q.Sign() <= 0 {
		errs = append(errs, field.Invalid(at.Child("resources").Key("storage"), q.String(), "must be greater than zero"))
	} else {
		errs = append(errs, validateQuantity(corev1.ResourceStorage, q, meta.Key(meta.Child(at, "resources"), "storage"))...)
	}
	if s.StorageClassName != nil && *s.StorageClassName != "" {
		errs = append(errs, meta.NameError(meta.Child(at, "storageClassName"), *s.StorageClassName, meta.DNSSubdomain)...)
	}
	if s.VolumeMode != nil {
		errs = append(errs, supported(meta.Child(at, "volumeMode"), *s.VolumeMode, volumeModes)...)
	}
	if d := s.DataSource; d != nil {
		errs = append(errs, validateDataSource(d.APIGroup, d.Kind, d.Name, meta.Child(at, "dataSource"))...)
	}
	if d := s.DataSourceRef; d != nil {
		errs = append(errs, validateDataSource(d.APIGroup, d.Kind, d.Name, meta.Child(at, "dataSourceRef"))...)
		if d.Namespace != nil && *d.Namespace != "" {
			errs = append(errs, meta.NameError(meta.Child(at, "dataSourceRef", "namespace"), *d.Namespace, meta.DNSLabel)...)
		}
	}
	switch d, r := s.DataSource, s.DataSourceRef; {
	case d == nil || r == nil:
	case r.Namespace != nil && *r.Namespace != "":
		errs = append(errs, field.Invalid(at, struct{}{}, "may not be specified when dataSourceRef.namespace is specified"))
	case d.Kind != r.Kind || d.Name != r.Name || !equalAt(d.APIGroup, r.APIGroup):
		errs = append(errs, field.Invalid(at, struct{}{}, "must match dataSourceRef"))
	}
	if s.VolumeAttributesClassName != nil && *s.VolumeAttributesClassName != "" {
		errs = append(errs, meta.NameError(meta.Child(at, "volumeAttributesClassName"), *s.VolumeAttributesClassName, meta.DNSSubdomain)...)
	}
	return errs
}

// checkClaimSpec checks the spec of a claim of its own.
func checkClaimSpec(s *corev1.PersistentVolumeClaimSpec) field.ErrorList {
	return meta.Checked(specPath, func(at *field.Path) field.ErrorList { return ValidateClaimSpec(s, at) })
}

func validateDataSource(group *string, kind, name string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	}
	if kind == "" {
		errs = append(errs, field.Required(at.Child("kind"), ""))
	}
	g := ""
	if group != nil {
		g = *group
	}
	if g != "" {
		errs = append(errs, meta.NameError(meta.Child(at, "apiGroup"), g, meta.DNSSubdomain)...)
	}
	if g == "" && kind != "PersistentVolumeClaim" {
		errs = append(errs, field.Invalid(at, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
	}
	return errs
}

// validateClaimTemplateMeta checks the metadata of a claim that is made with its pod: labels and annotations only.
func validateClaimTemplateMeta(m *metav1.ObjectMeta, at *field.Path) field.ErrorList {
	errs := meta.Annotations(m.Annotations, meta.Child(at, "annotations"))
	errs = append(errs, meta.Labels(m.Labels, meta.Child(at, "labels"))...)
	for _, f := range []setField{
		{"name", m.Name != ""}, {"generateName", m.GenerateName != ""}, {"namespace", m.Namespace != ""}, {"selfLink", m.SelfLink != ""}, {"uID", m.UID != ""},
		{"resourceVersion", m.ResourceVersion != ""}, {"generation", m.Generation != 0}, {"creationTimestamp", !m.CreationTimestamp.IsZero()},
		{"deletionTimestamp", m.DeletionTimestamp != nil}, {"deletionGracePeriodSeconds", m.DeletionGracePeriodSeconds != nil},
		{"ownerReferences", m.OwnerReferences != nil}, {"finalizers", m.Finalizers != nil}, {"managedFields", m.ManagedFields != nil},
	} {
		if f.set {
			errs = append(errs, field.Forbidden(at.Child(f.name), "cannot be set"))
		}
	}
	return errs
}

// validateClaimUpdate lets a claim be bound, grow and change its attributes class, and nothing else.
func validateClaimUpdate(next, old *corev1.PersistentVolumeClaim) field.ErrorList {
	errs := checkClaimSpec(&next.Spec)
	was, is := old.Spec, next.Spec
	if was.VolumeName == "" {
		was.VolumeName = is.VolumeName
	}
	if was.StorageClassName == nil {
		was.StorageClassName = is.StorageClassName
	}
	was.VolumeAttributesClassName = is.VolumeAttributesClassName
	if old.Status.Phase == corev1.ClaimBound {
		had, wants := was.Resources.Requests[corev1.ResourceStorage], is.Resources.Requests[corev1.ResourceStorage]
		got := old.Status.Capacity[corev1.ResourceStorage]
		if wants.Cmp(had) < 0 && wants.Cmp(got) <= 0 {
			errs = append(errs, field.Forbidden(specPath.Child("resources", "requests", "storage"), "field can not be less than status.capacity"))
		}
		was.Resources.Requests = is.Resources.Requests
	}
	if !meta.Equal(&was, &is) {
		errs = append(errs, field.Forbidden(specPath, "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"+meta.Diff(was, is)))
	}
	return errs
}

func warnClaim(next, _ *corev1.PersistentVolumeClaim) []string {
	var w warnings
	if _, ok := next.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		w.add(annotationsPath.Key(corev1.BetaStorageClassAnnotation), `deprecated since v1.8; use "storageClassName" attribute instead`)
	}
	return append(w, ClaimWarnings(&next.Spec, specPath)...)
}

// ClaimWarnings tells of sizes that no disk can have.
func ClaimWarnings(s *corev1.PersistentVolumeClaimSpec, at *field.Path) []string {
	var w warnings
	fraction := func(list string, l corev1.ResourceList) {
		if q, ok := l[corev1.ResourceStorage]; ok && q.MilliValue()%1000 != 0 {
			w.add(at.Child("resources", list).Key("storage"), "fractional byte value \""+q.String()+"\" is invalid, must be an integer")
		}
	}
	fraction("requests", s.Resources.Requests)
	fraction("limits", s.Resources.Limits)
	return w
}

func claimCapacity(o *corev1.PersistentVolumeClaim) string {
	if o.Spec.VolumeName == "" {
		return ""
	}
	return storageText(o.Status.Capacity)
}

func claimModes(o *corev1.PersistentVolumeClaim) string {
	if o.Spec.VolumeName == "" {
		return ""
	}
	return accessModeText(o.Status.AccessModes)
}

func claimClass(o *corev1.PersistentVolumeClaim) string {
	if c, ok := o.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		return c
	}
	if o.Spec.StorageClassName != nil {
		return *o.Spec.StorageClassName
	}
	return ""
}

var resizeStatuses = []corev1.ClaimResourceStatus{corev1.PersistentVolumeClaimControllerResizeInProgress, corev1.PersistentVolumeClaimControllerResizeInfeasible,
	corev1.PersistentVolumeClaimNodeResizeInProgress, corev1.PersistentVolumeClaimNodeResizeInfeasible, corev1.PersistentVolumeClaimNodeResizePending}

func prepareClaimStatus(next, _ *corev1.PersistentVolumeClaim) {
	meta.Default(&next.Status.Phase, corev1.ClaimPending)
	for _, l := range []corev1.ResourceList{next.Status.Capacity, next.Status.AllocatedResources} {
		meta.RoundUpToMilli(l)
	}
}

func validateClaimStatus(next, _ *corev1.PersistentVolumeClaim) field.ErrorList {
	var errs field.ErrorList
	s := &next.Status
	amount := func(q resource.Quantity, at *field.Path) {
		if q.Sign() < 0 {
			errs = append(errs, field.Invalid(at, q.Value(), "must be a valid resource quantity"))
		}
	}
	for name, q := range s.Capacity {
		amount(q, statusPath.Child("capacity").Key(string(name)))
	}
	at := statusPath.Child("allocatedResourceStatuses")
	for name, v := range s.AllocatedResourceStatuses {
		errs = append(errs, validateClaimResource(name, at)...)
		if !slices.Contains(resizeStatuses, v) {
			errs = append(errs, field.NotSupported(at, name, resizeStatuses)) // compat: the name is told, not what was wrong
		}
	}
	at = statusPath.Child("allocatedResources")
	for name, q := range s.AllocatedResources {
		errs = append(errs, validateClaimResource(name, at)...)
		amount(q, at.Key(string(name)))
	}
	return errs
}

// validateClaimResource accepts storage, and what others than Kubernetes count.
func validateClaimResource(name corev1.ResourceName, at *field.Path) field.ErrorList {
	if errs := meta.NameError(at, string(name), meta.QualifiedName); len(errs) > 0 {
		return errs
	}
	if name != corev1.ResourceStorage && nativeResource(name) {
		return field.ErrorList{field.NotSupported(at, name, []corev1.ResourceName{corev1.ResourceStorage})}
	}
	return nil
}
