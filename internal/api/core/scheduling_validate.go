package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// ValidateNodeSelector checks terms that nodes are chosen by.
func ValidateNodeSelector(s *corev1.NodeSelector, at *field.Path) field.ErrorList {
	at = meta.Child(at, "nodeSelectorTerms")
	if len(s.NodeSelectorTerms) == 0 {
		return field.ErrorList{field.Required(at, "must have at least one node selector term")}
	}
	var errs field.ErrorList
	for i := range s.NodeSelectorTerms {
		errs = append(errs, validateNodeTerm(&s.NodeSelectorTerms[i], false, meta.Index(at, i))...)
	}
	return errs
}

// validateNodeTerm checks a term. Values that no label can have are refused where the
// term is a condition; where it is a wish they are warned of.
func validateNodeTerm(t *corev1.NodeSelectorTerm, wish bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range t.MatchExpressions {
		errs = append(errs, validateNodeRequirement(&t.MatchExpressions[i], wish, meta.Index(meta.Child(at, "matchExpressions"), i))...)
	}
	for i := range t.MatchFields {
		errs = append(errs, validateNodeField(&t.MatchFields[i], meta.Index(meta.Child(at, "matchFields"), i))...)
	}
	return errs
}

func validateNodeRequirement(r *corev1.NodeSelectorRequirement, anyValue bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch r.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		if len(r.Values) == 0 {
			errs = append(errs, field.Required(at.Child("values"), "must be specified when `operator` is 'In' or 'NotIn'"))
		}
	case corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist:
		if len(r.Values) > 0 {
			errs = append(errs, field.Forbidden(at.Child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
		}
	case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
		if len(r.Values) != 1 {
			errs = append(errs, field.Required(at.Child("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'"))
		}
	default:
		errs = append(errs, field.Invalid(at.Child("operator"), r.Operator, "not a valid selector operator"))
	}
	errs = append(errs, meta.LabelName(r.Key, meta.Child(at, "key"))...)
	if anyValue {
		return errs
	}
	for i, v := range r.Values {
		errs = append(errs, meta.NameError(meta.Index(meta.Child(at, "values"), i), v, meta.LabelValue)...)
	}
	return errs
}

func validateNodeField(r *corev1.NodeSelectorRequirement, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch r.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		if len(r.Values) != 1 {
			errs = append(errs, field.Required(at.Child("values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"))
		}
	default:
		errs = append(errs, field.Invalid(at.Child("operator"), r.Operator, "not a valid selector operator"))
	}
	if r.Key != metav1.ObjectNameField {
		return append(errs, field.Invalid(at.Child("key"), r.Key, "not a valid field selector key"))
	}
	for i, v := range r.Values {
		errs = append(errs, meta.NameError(meta.Index(meta.Child(at, "values"), i), v, meta.DNSSubdomain)...)
	}
	return errs
}

func validateWeight(w int32, at *field.Path) field.ErrorList {
	if w < 1 || w > 100 {
		return field.ErrorList{field.Invalid(at.Child("weight"), w, "must be in the range 1-100")}
	}
	return nil
}

const (
	duringScheduling = "requiredDuringSchedulingIgnoredDuringExecution"
	ifPossible       = "preferredDuringSchedulingIgnoredDuringExecution"
)

func validateAffinity(a *corev1.Affinity, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if n := a.NodeAffinity; n != nil {
		path := meta.Child(at, "nodeAffinity")
		if n.RequiredDuringSchedulingIgnoredDuringExecution != nil {
			errs = append(errs, ValidateNodeSelector(n.RequiredDuringSchedulingIgnoredDuringExecution, meta.Child(path, duringScheduling))...)
		}
		for i := range n.PreferredDuringSchedulingIgnoredDuringExecution {
			t := &n.PreferredDuringSchedulingIgnoredDuringExecution[i]
			idx := meta.Index(meta.Child(path, ifPossible), i)
			errs = append(errs, validateWeight(t.Weight, idx)...)
			errs = append(errs, validateNodeTerm(&t.Preference, true, meta.Child(idx, "preference"))...)
		}
	}
	if p := a.PodAffinity; p != nil {
		errs = append(errs, validatePodTerms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, meta.Child(at, "podAffinity"))...)
	}
	if p := a.PodAntiAffinity; p != nil {
		errs = append(errs, validatePodTerms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, meta.Child(at, "podAntiAffinity"))...)
	}
	return errs
}

func validatePodTerms(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range required {
		errs = append(errs, validatePodTerm(&required[i], meta.Index(meta.Child(at, duringScheduling), i))...)
	}
	for i := range preferred {
		idx := meta.Index(meta.Child(at, ifPossible), i)
		errs = append(errs, validateWeight(preferred[i].Weight, idx)...)
		errs = append(errs, validatePodTerm(&preferred[i].PodAffinityTerm, meta.Child(idx, "podAffinityTerm"))...)
	}
	return errs
}

func validatePodTerm(t *corev1.PodAffinityTerm, at *field.Path) field.ErrorList {
	errs := meta.LabelSelector(t.LabelSelector, meta.Child(at, "labelSelector"))
	errs = append(errs, meta.LabelSelector(t.NamespaceSelector, meta.Child(at, "namespaceSelector"))...)
	for _, ns := range t.Namespaces {
		errs = append(errs, meta.NameError(meta.Child(at, "namespace"), ns, meta.DNSLabel)...)
	}
	errs = append(errs, validateLabelKeys(t.MatchLabelKeys, t.LabelSelector, meta.Child(at, "matchLabelKeys"))...)
	errs = append(errs, validateMergedKeys(t.MatchLabelKeys, t.LabelSelector, at)...)
	errs = append(errs, validateLabelKeys(t.MismatchLabelKeys, t.LabelSelector, meta.Child(at, "mismatchLabelKeys"))...)
	if len(t.MismatchLabelKeys) > 0 {
		var not seen[string]
		for _, k := range t.MismatchLabelKeys {
			not.add(k)
		}
		for i, k := range t.MatchLabelKeys {
			if not.has(k) {
				errs = append(errs, field.Invalid(at.Child("matchLabelKeys").Index(i), k, "exists in both matchLabelKeys and mismatchLabelKeys"))
			}
		}
	}
	if t.TopologyKey == "" {
		errs = append(errs, field.Required(at.Child("topologyKey"), "can not be empty"))
	}
	return append(errs, meta.LabelName(t.TopologyKey, meta.Child(at, "topologyKey"))...)
}

func validateLabelKeys(keys []string, s *metav1.LabelSelector, at *field.Path) field.ErrorList {
	if len(keys) == 0 {
		return nil
	}
	var errs field.ErrorList
	if s == nil {
		errs = append(errs, field.Forbidden(at, "must not be specified when labelSelector is not set"))
	}
	for i, k := range keys {
		errs = append(errs, meta.LabelName(k, meta.Index(at, i))...)
	}
	return errs
}

// validateMergedKeys refuses selectors that ask more than once for a key that is taken from the pod's labels.
// The first time may be what preparePod put there.
func validateMergedKeys(keys []string, s *metav1.LabelSelector, at *field.Path) field.ErrorList {
	if len(keys) == 0 || s == nil {
		return nil
	}
	var errs field.ErrorList
	var asked seen[string]
	for k := range s.MatchLabels {
		asked.add(k)
	}
	last := make(map[string]int, len(keys))
	for i, k := range keys {
		last[k] = i
	}
	for i := range s.MatchExpressions {
		k := s.MatchExpressions[i].Key
		if j, ok := last[k]; asked.add(k) && ok {
			errs = append(errs, field.Invalid(at.Index(j), k, "exists in both matchLabelKeys and labelSelector"))
		}
	}
	return errs
}

var (
	unsatisfiable     = []corev1.UnsatisfiableConstraintAction{corev1.DoNotSchedule, corev1.ScheduleAnyway}
	inclusionPolicies = []corev1.NodeInclusionPolicy{corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore}
	taintEffects      = []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}
)

// spreadKey is what constraints have to differ in.
type spreadKey struct {
	topology string
	when     corev1.UnsatisfiableConstraintAction
}

func validateSpread(cs []corev1.TopologySpreadConstraint, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	var last map[spreadKey]int // compat: those are named that come again
	if len(cs) > 1 {
		last = make(map[spreadKey]int, len(cs))
		for i := range cs {
			last[spreadKey{cs[i].TopologyKey, cs[i].WhenUnsatisfiable}] = i
		}
	}
	for i := range cs {
		c := &cs[i]
		idx := meta.Index(at, i)
		if c.MaxSkew <= 0 {
			errs = append(errs, field.Invalid(idx.Child("maxSkew"), c.MaxSkew, "must be greater than zero"))
		}
		if c.TopologyKey == "" {
			errs = append(errs, field.Required(idx.Child("topologyKey"), "can not be empty"))
		}
		errs = append(errs, oneOf(idx, "whenUnsatisfiable", c.WhenUnsatisfiable, unsatisfiable)...)
		if last[spreadKey{c.TopologyKey, c.WhenUnsatisfiable}] > i {
			errs = append(errs, field.Duplicate(idx.Child("{topologyKey, whenUnsatisfiable}"), fmt.Sprintf("{%v, %v}", c.TopologyKey, c.WhenUnsatisfiable)))
		}
		if m := c.MinDomains; m != nil {
			if *m <= 0 {
				errs = append(errs, field.Invalid(idx.Child("minDomains"), *m, "must be greater than zero"))
			}
			if c.WhenUnsatisfiable != corev1.DoNotSchedule {
				errs = append(errs, field.Invalid(idx.Child("minDomains"), *m, fmt.Sprintf("can only use minDomains if whenUnsatisfiable=%s, not %s", corev1.DoNotSchedule, c.WhenUnsatisfiable)))
			}
		}
		if c.NodeAffinityPolicy != nil {
			errs = append(errs, oneOf(idx, "nodeAffinityPolicy", *c.NodeAffinityPolicy, inclusionPolicies)...)
		}
		if c.NodeTaintsPolicy != nil {
			errs = append(errs, oneOf(idx, "nodeTaintsPolicy", *c.NodeTaintsPolicy, inclusionPolicies)...)
		}
		errs = append(errs, validateLabelKeys(c.MatchLabelKeys, c.LabelSelector, meta.Child(idx, "matchLabelKeys"))...)
		errs = append(errs, validateMergedKeys(c.MatchLabelKeys, c.LabelSelector, idx)...)
		errs = append(errs, meta.LabelSelector(c.LabelSelector, meta.Child(idx, "labelSelector"))...)
	}
	return errs
}

// ValidateTolerations checks what taints a pod bears.
func ValidateTolerations(ts []corev1.Toleration, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range ts {
		t := &ts[i]
		idx := meta.Index(at, i)
		if t.Key != "" {
			errs = append(errs, meta.LabelName(t.Key, meta.Child(idx, "key"))...)
		} else if t.Operator != corev1.TolerationOpExists {
			errs = append(errs, field.Invalid(idx.Child("operator"), t.Operator, "operator must be Exists when `key` is empty, which means \"match all values and all keys\""))
		}
		if t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute {
			errs = append(errs, field.Invalid(idx.Child("effect"), t.Effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
		}
		switch t.Operator {
		case corev1.TolerationOpEqual, "":
			if msgs := meta.LabelValue(t.Value); len(msgs) > 0 {
				errs = append(errs, field.Invalid(idx.Child("operator"), t.Value, strings.Join(msgs, ";")))
			}
		case corev1.TolerationOpExists:
			if t.Value != "" {
				errs = append(errs, field.Invalid(idx.Child("operator"), t.Value, "value must be empty when `operator` is 'Exists'"))
			}
		case corev1.TolerationOpLt, corev1.TolerationOpGt:
			// compat: those that are behind a gate are named all the same.
			errs = append(errs, field.NotSupported(idx.Child("operator"), t.Operator, []corev1.TolerationOperator{corev1.TolerationOpEqual, corev1.TolerationOpExists, corev1.TolerationOpLt, corev1.TolerationOpGt}))
		default:
			errs = append(errs, field.NotSupported(idx.Child("operator"), t.Operator, []corev1.TolerationOperator{corev1.TolerationOpEqual, corev1.TolerationOpExists}))
		}
		if t.Effect != "" {
			errs = append(errs, oneOf(idx, "effect", t.Effect, taintEffects)...)
		}
	}
	return errs
}
