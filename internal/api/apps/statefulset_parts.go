package apps

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultStatefulSet(o *appsv1.StatefulSet) {
	s := &o.Spec
	core.DefaultPodTemplate(&s.Template)
	meta.Default(&s.PodManagementPolicy, appsv1.OrderedReadyPodManagement)
	if s.UpdateStrategy.Type == "" {
		s.UpdateStrategy.Type = appsv1.RollingUpdateStatefulSetStrategyType
		if s.UpdateStrategy.RollingUpdate == nil {
			s.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{}
		}
	}
	// compat: a strategy that was named is left without parameters.
	if s.UpdateStrategy.RollingUpdate != nil {
		meta.DefaultAt(&s.UpdateStrategy.RollingUpdate.Partition, 0)
	}
	if s.PersistentVolumeClaimRetentionPolicy == nil {
		s.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{}
	}
	meta.Default(&s.PersistentVolumeClaimRetentionPolicy.WhenDeleted, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	meta.Default(&s.PersistentVolumeClaimRetentionPolicy.WhenScaled, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	meta.DefaultAt(&s.Replicas, 1)
	meta.DefaultAt(&s.RevisionHistoryLimit, 10)
	for i := range s.VolumeClaimTemplates {
		c := &s.VolumeClaimTemplates[i]
		c.Kind, c.APIVersion = "PersistentVolumeClaim", "v1" // whatever was said
		meta.Default(&c.Status.Phase, corev1.ClaimPending)
		core.DefaultClaimSpec(&c.Spec)
	}
}

func validateNewStatefulSet(o *appsv1.StatefulSet) field.ErrorList {
	errs := validateStatefulSet(o)
	// Sets from before this was asked go on; their services cannot be changed.
	if n := o.Spec.ServiceName; n != "" {
		errs = append(errs, meta.NameError(specPath.Child("serviceName"), n, meta.DNSLabel)...)
	}
	return errs
}

func validateStatefulSet(o *appsv1.StatefulSet) field.ErrorList {
	s := &o.Spec
	errs := validateStatefulPolicies(s)
	errs = append(errs, meta.NonNegativeAt(s.Replicas, specPath, "replicas")...)
	errs = append(errs, meta.NonNegative(s.MinReadySeconds, specPath, "minReadySeconds")...)
	if s.Ordinals != nil {
		errs = append(errs, meta.NonNegative(s.Ordinals.Start, specPath.Child("ordinals"), "start")...)
	}
	t := s.Template
	t.Spec.Volumes = withClaims(s)
	t.Spec.Hostname, t.Spec.Subdomain = "", "" // pods get those of the set
	errs = append(errs, validateSelects(s.Selector, &t, "statefulset", "")...)
	errs = append(errs, core.AlwaysRestarts(&t.Spec, specPath.Child("template", "spec"), "StatefulSet")...)
	for i := range s.VolumeClaimTemplates {
		errs = append(errs, core.ValidateClaimSpec(&s.VolumeClaimTemplates[i].Spec, specPath.Child("volumeClaimTemplates").Index(i).Child("spec"))...)
	}
	return errs
}

// withClaims are the volumes that the pods will have: those of the claims first.
func withClaims(s *appsv1.StatefulSetSpec) []corev1.Volume {
	if len(s.VolumeClaimTemplates) == 0 {
		return s.Template.Spec.Volumes
	}
	var vs []corev1.Volume
	named := map[string]bool{}
	for i := range s.VolumeClaimTemplates {
		name := s.VolumeClaimTemplates[i].Name
		if named[name] {
			continue
		}
		named[name] = true
		vs = append(vs, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}})
	}
	for _, v := range s.Template.Spec.Volumes {
		if !named[v.Name] {
			vs = append(vs, v)
		}
	}
	return vs
}

var retention = []appsv1.PersistentVolumeClaimRetentionPolicyType{appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType}

func validateStatefulPolicies(s *appsv1.StatefulSetSpec) field.ErrorList {
	var errs field.ErrorList
	switch s.PodManagementPolicy {
	case appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement:
	default:
		errs = append(errs, field.Invalid(specPath.Child("podManagementPolicy"), s.PodManagementPolicy, fmt.Sprintf("must be '%s' or '%s'", appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement)))
	}
	at := specPath.Child("updateStrategy")
	rolling := s.UpdateStrategy.RollingUpdate
	switch s.UpdateStrategy.Type {
	case appsv1.OnDeleteStatefulSetStrategyType:
		if rolling != nil {
			errs = append(errs, field.Invalid(at.Child("rollingUpdate"), shownNumbers(rolling), fmt.Sprintf("only allowed for updateStrategy '%s'", appsv1.RollingUpdateStatefulSetStrategyType)))
		}
	case appsv1.RollingUpdateStatefulSetStrategyType:
		if rolling != nil {
			errs = append(errs, meta.NonNegativeAt(rolling.Partition, at.Child("rollingUpdate"), "partition")...)
			if u := rolling.MaxUnavailable; u != nil {
				path := at.Child("rollingUpdate", "maxUnavailable")
				errs = append(errs, meta.NumberOrPercent(u, path)...)
				if meta.IsZero(u) {
					errs = append(errs, field.Invalid(path, *u, "cannot be 0"))
				}
				errs = append(errs, meta.PercentAtMost100(u, path)...)
			}
		}
	default:
		errs = append(errs, field.Invalid(at, shownStatefulStrategy(&s.UpdateStrategy), fmt.Sprintf("must be '%s' or '%s'", appsv1.RollingUpdateStatefulSetStrategyType, appsv1.OnDeleteStatefulSetStrategyType)))
	}
	if p := s.PersistentVolumeClaimRetentionPolicy; p != nil {
		path := specPath.Child("persistentVolumeClaimRetentionPolicy")
		for _, f := range []struct {
			name  string
			value appsv1.PersistentVolumeClaimRetentionPolicyType
		}{{"whenDeleted", p.WhenDeleted}, {"whenScaled", p.WhenScaled}} {
			if f.value != retention[0] && f.value != retention[1] {
				errs = append(errs, field.NotSupported(path.Child(f.name), f.value, retention))
			}
		}
	}
	return errs
}

// statefulNumbers are the parameters of a strategy as errors show them.
type statefulNumbers struct {
	Partition      int32
	MaxUnavailable *intstr.IntOrString
}

func shownNumbers(r *appsv1.RollingUpdateStatefulSetStrategy) *statefulNumbers {
	n := statefulNumbers{MaxUnavailable: r.MaxUnavailable}
	if r.Partition != nil {
		n.Partition = *r.Partition
	}
	return &n
}

func shownStatefulStrategy(s *appsv1.StatefulSetUpdateStrategy) any {
	out := struct {
		Type          appsv1.StatefulSetUpdateStrategyType
		RollingUpdate *statefulNumbers
	}{Type: s.Type}
	if r := s.RollingUpdate; r != nil {
		out.RollingUpdate = shownNumbers(r)
	}
	return out
}

const statefulMayChange = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"

func validateStatefulSetUpdate(next, old *appsv1.StatefulSet) field.ErrorList {
	errs := validateStatefulSet(next)
	rest := next.Spec
	rest.Replicas, rest.Template, rest.UpdateStrategy, rest.MinReadySeconds = old.Spec.Replicas, old.Spec.Template, old.Spec.UpdateStrategy, old.Spec.MinReadySeconds
	rest.Ordinals, rest.RevisionHistoryLimit, rest.PersistentVolumeClaimRetentionPolicy = old.Spec.Ordinals, old.Spec.RevisionHistoryLimit, old.Spec.PersistentVolumeClaimRetentionPolicy
	if !equality.Semantic.DeepEqual(rest, old.Spec) {
		errs = append(errs, field.Forbidden(specPath, statefulMayChange))
	}
	return errs
}

func warnStatefulSet(next, old *appsv1.StatefulSet) []string {
	if old != nil && old.Generation == next.Generation {
		return nil
	}
	warnings := core.TemplateWarnings("", &next.Spec.Template, specPath.Child("template"))
	for i := range next.Spec.VolumeClaimTemplates {
		warnings = append(warnings, core.ClaimWarnings(&next.Spec.VolumeClaimTemplates[i].Spec, specPath.Child("volumeClaimTemplates").Index(i).Child("Spec"))...) // compat: with a capital
	}
	if n := next.Spec.RevisionHistoryLimit; n != nil && *n < 0 {
		warnings = append(warnings, specPath.Child("revisionHistoryLimit").String()+": a negative value retains all historical revisions; a value >= 0 is recommended")
	}
	return warnings
}
