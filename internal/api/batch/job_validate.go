package batch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var specPath = field.NewPath("spec")

func validateJob(o *batchv1.Job) field.ErrorList {
	errs := validateGenerated(o)
	errs = append(errs, validateJobSpec(&o.Spec, specPath)...)
	errs = append(errs, validateSelector(&o.Spec)...)
	s := &o.Spec
	if s.CompletionMode != nil && *s.CompletionMode == batchv1.IndexedCompletion && s.Completions != nil && *s.Completions > 0 {
		// The hostname of the last pod must be a label.
		last := o.Name + "-" + strconv.Itoa(int(*s.Completions-1))
		if msgs := meta.DNSLabel(last); len(msgs) > 0 {
			errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), o.Name, "will not able to create pod with invalid DNS label: "+last))
		}
	}
	return errs
}

// validateGenerated checks that selector and labels are those that were generated, unless the client wants its own.
func validateGenerated(o *batchv1.Job) field.ErrorList {
	s := &o.Spec
	if s.Selector == nil || s.ManualSelector != nil && *s.ManualSelector {
		return nil
	}
	var errs field.ErrorList
	labels := specPath.Child("template", "metadata", "labels")
	for _, l := range []struct{ key, value string }{
		{batchv1.ControllerUidLabel, string(o.UID)}, {oldControllerUID, string(o.UID)}, {batchv1.JobNameLabel, o.Name}, {oldJobName, o.Name},
	} {
		if v, ok := s.Template.Labels[l.key]; !ok {
			errs = append(errs, field.Required(labels.Key(l.key), fmt.Sprintf("must be '%s'", l.value)))
		} else if v != l.value {
			errs = append(errs, field.Invalid(labels, s.Template.Labels, fmt.Sprintf("must be '%s'", l.value)))
		}
	}
	if !equality.Semantic.DeepEqual(s.Selector.MatchLabels, map[string]string{batchv1.ControllerUidLabel: string(o.UID)}) &&
		!equality.Semantic.DeepEqual(s.Selector.MatchLabels, map[string]string{oldControllerUID: string(o.UID)}) || len(s.Selector.MatchExpressions) > 0 {
		errs = append(errs, field.Invalid(specPath.Child("selector"), s.Selector, "`selector` not auto-generated"))
	}
	return errs
}

func validateSelector(s *batchv1.JobSpec) field.ErrorList {
	var errs field.ErrorList
	if s.Selector == nil {
		errs = append(errs, field.Required(specPath.Child("selector"), ""))
	} else {
		errs = append(errs, meta.LabelSelector(s.Selector, specPath.Child("selector"))...)
	}
	if misses, err := meta.SelectorMisses(s.Selector, s.Template.Labels); err == nil && misses {
		errs = append(errs, field.Invalid(specPath.Child("template", "metadata", "labels"), s.Template.Labels, "`selector` does not match template `labels`"))
	}
	return errs
}

// validateJobSpec checks what jobs and templates of jobs have in common.
func validateJobSpec(s *batchv1.JobSpec, at *field.Path) field.ErrorList {
	errs := meta.NonNegativeAt(s.Parallelism, at, "parallelism")
	errs = append(errs, meta.NonNegativeAt(s.Completions, at, "completions")...)
	errs = append(errs, meta.NonNegativeAt(s.ActiveDeadlineSeconds, at, "activeDeadlineSeconds")...)
	errs = append(errs, meta.NonNegativeAt(s.BackoffLimit, at, "backoffLimit")...)
	errs = append(errs, meta.NonNegativeAt(s.TTLSecondsAfterFinished, at, "ttlSecondsAfterFinished")...)
	errs = append(errs, meta.NonNegativeAt(s.BackoffLimitPerIndex, at, "backoffLimitPerIndex")...)
	errs = append(errs, meta.NonNegativeAt(s.MaxFailedIndexes, at, "maxFailedIndexes")...)
	errs = append(errs, validateManagedBy(s.ManagedBy, at)...)
	errs = append(errs, validateIndexes(s, at)...)
	if s.PodFailurePolicy != nil {
		errs = append(errs, validateFailurePolicy(s, at.Child("podFailurePolicy"))...)
	}
	if s.SuccessPolicy != nil {
		errs = append(errs, validateSuccessPolicy(s, at.Child("successPolicy"))...)
	}
	errs = append(errs, validateReplacement(s, at.Child("podReplacementPolicy"))...)
	t := at.Child("template")
	errs = append(errs, core.ValidatePodTemplate(&s.Template, t)...)
	restart := t.Child("spec", "restartPolicy")
	switch p := s.Template.Spec.RestartPolicy; {
	case p == "" || p == corev1.RestartPolicyAlways:
		errs = append(errs, field.Required(restart, `valid values: "OnFailure", "Never"`))
	case p != corev1.RestartPolicyOnFailure && p != corev1.RestartPolicyNever:
		errs = append(errs, field.NotSupported(restart, p, []corev1.RestartPolicy{corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever}))
	case s.PodFailurePolicy != nil && p != corev1.RestartPolicyNever:
		errs = append(errs, field.Invalid(restart, p, `only "Never" is supported when podFailurePolicy is specified`))
	}
	return errs
}

func validateManagedBy(v *string, at *field.Path) field.ErrorList {
	if v == nil {
		return nil
	}
	errs := validation.IsDomainPrefixedPath(at.Child("managedBy"), *v)
	if len(*v) > 63 {
		errs = append(errs, field.TooLongMaxLength(at.Child("managedBy"), *v, 63))
	}
	return errs
}

const maxIndexed = 100000

func validateIndexes(s *batchv1.JobSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	mode := batchv1.NonIndexedCompletion
	if s.CompletionMode != nil {
		mode = *s.CompletionMode
		if mode != batchv1.NonIndexedCompletion && mode != batchv1.IndexedCompletion {
			errs = append(errs, field.NotSupported(at.Child("completionMode"), mode, []batchv1.CompletionMode{batchv1.NonIndexedCompletion, batchv1.IndexedCompletion}))
		}
	}
	indexed := mode == batchv1.IndexedCompletion
	if indexed {
		if s.Completions == nil {
			errs = append(errs, field.Required(at.Child("completions"), fmt.Sprintf("when completion mode is %s", mode)))
		}
		if s.Parallelism != nil && *s.Parallelism > maxIndexed {
			errs = append(errs, field.Invalid(at.Child("parallelism"), *s.Parallelism, fmt.Sprintf("must be less than or equal to %d when completion mode is %s", maxIndexed, mode)))
		}
		if s.Completions != nil && s.MaxFailedIndexes != nil && *s.MaxFailedIndexes > *s.Completions {
			errs = append(errs, field.Invalid(at.Child("maxFailedIndexes"), *s.MaxFailedIndexes, "must be less than or equal to completions"))
		}
		if s.MaxFailedIndexes != nil && *s.MaxFailedIndexes > maxIndexed {
			errs = append(errs, field.Invalid(at.Child("maxFailedIndexes"), *s.MaxFailedIndexes, fmt.Sprintf("must be less than or equal to %d", maxIndexed)))
		}
		errs = append(errs, validateManyIndexes(s, at)...)
	} else if s.BackoffLimitPerIndex != nil {
		errs = append(errs, field.Invalid(at.Child("backoffLimitPerIndex"), *s.BackoffLimitPerIndex, "requires indexed completion mode"))
	}
	if s.MaxFailedIndexes != nil && s.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Required(at.Child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
	}
	return errs
}

// validateManyIndexes bounds what must be kept of a job with many indexes, each of which may fail by itself.
func validateManyIndexes(s *batchv1.JobSpec, at *field.Path) field.ErrorList {
	const most = 10000
	if s.BackoffLimitPerIndex == nil || s.Completions == nil || *s.Completions <= maxIndexed {
		return nil
	}
	var errs field.ErrorList
	text := fmt.Sprintf("must be less than or equal to %d when completions are above %d and used with backoff limit per index", most, maxIndexed)
	if s.Parallelism != nil && *s.Parallelism > most {
		errs = append(errs, field.Invalid(at.Child("parallelism"), *s.Parallelism, text))
	}
	if s.MaxFailedIndexes == nil {
		errs = append(errs, field.Required(at.Child("maxFailedIndexes"), fmt.Sprintf("must be specified when completions is above %d", maxIndexed)))
	} else if *s.MaxFailedIndexes > most {
		errs = append(errs, field.Invalid(at.Child("maxFailedIndexes"), *s.MaxFailedIndexes, text))
	}
	return errs
}

var (
	failureActions = []batchv1.PodFailurePolicyAction{batchv1.PodFailurePolicyActionCount, batchv1.PodFailurePolicyActionFailIndex, batchv1.PodFailurePolicyActionFailJob, batchv1.PodFailurePolicyActionIgnore}
	exitOperators  = []batchv1.PodFailurePolicyOnExitCodesOperator{batchv1.PodFailurePolicyOnExitCodesOpIn, batchv1.PodFailurePolicyOnExitCodesOpNotIn}
	statuses       = []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown}
)

func validateFailurePolicy(s *batchv1.JobSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	rules := at.Child("rules")
	if len(s.PodFailurePolicy.Rules) > 20 {
		errs = append(errs, field.TooMany(rules, len(s.PodFailurePolicy.Rules), 20))
	}
	for i := range s.PodFailurePolicy.Rules {
		errs = append(errs, validateFailureRule(s, &s.PodFailurePolicy.Rules[i], rules.Index(i))...)
	}
	return errs
}

func validateFailureRule(s *batchv1.JobSpec, r *batchv1.PodFailurePolicyRule, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case r.Action == "":
		errs = append(errs, field.Required(at.Child("action"), fmt.Sprintf("valid values: %q", failureActions)))
	case !slices.Contains(failureActions, r.Action):
		errs = append(errs, field.NotSupported(at.Child("action"), r.Action, failureActions))
	case r.Action == batchv1.PodFailurePolicyActionFailIndex && s.BackoffLimitPerIndex == nil:
		errs = append(errs, field.Invalid(at.Child("action"), r.Action, "requires the backoffLimitPerIndex to be set"))
	}
	if r.OnExitCodes != nil {
		errs = append(errs, validateExitCodes(s, r.OnExitCodes, at.Child("onExitCodes"))...)
	}
	if len(r.OnPodConditions) > 20 {
		errs = append(errs, field.TooMany(at.Child("onPodConditions"), len(r.OnPodConditions), 20))
	}
	for i, c := range r.OnPodConditions {
		idx := at.Child("onPodConditions").Index(i)
		errs = append(errs, meta.NameError(idx.Child("type"), string(c.Type), meta.QualifiedName)...)
		if c.Status == "" {
			errs = append(errs, field.Required(idx.Child("status"), fmt.Sprintf("valid values: %q", statuses)))
		} else if !slices.Contains(statuses, c.Status) {
			errs = append(errs, field.NotSupported(idx.Child("status"), c.Status, statuses))
		}
	}
	switch {
	case r.OnExitCodes != nil && len(r.OnPodConditions) > 0:
		errs = append(errs, field.Invalid(at, field.OmitValueType{}, "specifying both OnExitCodes and OnPodConditions is not supported"))
	case r.OnExitCodes == nil && len(r.OnPodConditions) == 0:
		errs = append(errs, field.Invalid(at, field.OmitValueType{}, "specifying one of OnExitCodes and OnPodConditions is required"))
	}
	return errs
}

func validateExitCodes(s *batchv1.JobSpec, r *batchv1.PodFailurePolicyOnExitCodesRequirement, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if r.Operator == "" {
		errs = append(errs, field.Required(at.Child("operator"), fmt.Sprintf("valid values: %q", exitOperators)))
	} else if !slices.Contains(exitOperators, r.Operator) {
		errs = append(errs, field.NotSupported(at.Child("operator"), r.Operator, exitOperators))
	}
	if n := r.ContainerName; n != nil {
		named := func(c corev1.Container) bool { return c.Name == *n }
		if !slices.ContainsFunc(s.Template.Spec.Containers, named) && !slices.ContainsFunc(s.Template.Spec.InitContainers, named) {
			errs = append(errs, field.Invalid(at.Child("containerName"), *n, "must be one of the container or initContainer names in the pod template"))
		}
	}
	values := at.Child("values")
	switch {
	case len(r.Values) == 0:
		errs = append(errs, field.Invalid(values, r.Values, "at least one value is required"))
	case len(r.Values) > 255:
		errs = append(errs, field.TooMany(values, len(r.Values), 255))
	}
	seen := make(map[int32]bool, len(r.Values))
	for i, v := range r.Values {
		if r.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn && v == 0 {
			errs = append(errs, field.Invalid(values.Index(i), v, "must not be 0 for the In operator"))
		}
		if seen[v] {
			errs = append(errs, field.Duplicate(values.Index(i), v))
		}
		seen[v] = true
	}
	if !slices.IsSorted(r.Values) {
		errs = append(errs, field.Invalid(values, r.Values, "must be ordered"))
	}
	return errs
}

func validateSuccessPolicy(s *batchv1.JobSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.CompletionMode == nil || *s.CompletionMode != batchv1.IndexedCompletion {
		return field.ErrorList{field.Invalid(at, field.OmitValueType{}, "requires indexed completion mode")}
	}
	rules := at.Child("rules")
	if len(s.SuccessPolicy.Rules) == 0 {
		errs = append(errs, field.Required(rules, "at least one rules must be specified when the successPolicy is specified"))
	}
	if len(s.SuccessPolicy.Rules) > 20 {
		errs = append(errs, field.TooMany(rules, len(s.SuccessPolicy.Rules), 20))
	}
	for i, r := range s.SuccessPolicy.Rules {
		idx := rules.Index(i)
		if r.SucceededCount == nil && r.SucceededIndexes == nil {
			errs = append(errs, field.Required(idx, "at least one of succeededCount or succeededIndexes must be specified"))
		}
		total := int32(0)
		if s.Completions != nil {
			total = *s.Completions
		}
		n := total
		if r.SucceededIndexes != nil {
			var err error
			if n, err = countIndexes(*r.SucceededIndexes, total); err != nil {
				errs = append(errs, field.Invalid(idx.Child("succeededIndexes"), *r.SucceededIndexes, fmt.Sprintf("error parsing succeededIndexes: %s", err)))
				continue
			}
		}
		if c := r.SucceededCount; c != nil {
			errs = append(errs, meta.NonNegative(*c, idx, "succeededCount")...)
			if *c > total {
				errs = append(errs, field.Invalid(idx.Child("succeededCount"), *c, fmt.Sprintf("must be less than or equal to %d (the number of specified completions)", total)))
			}
			if r.SucceededIndexes != nil && *c > n {
				errs = append(errs, field.Invalid(idx.Child("succeededCount"), *c, fmt.Sprintf("must be less than or equal to %d (the number of indexes in the specified succeededIndexes field)", n)))
			}
		}
	}
	return errs
}

// countIndexes counts the indexes in a text such as 1,3-5,7.
func countIndexes(text string, completions int32) (int32, error) {
	if text == "" {
		return 0, nil
	}
	total, last := int32(0), int32(-1)
	for _, part := range strings.Split(text, ",") {
		from, to, ranged := strings.Cut(part, "-")
		x, err := strconv.ParseInt(from, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("cannot convert string to integer for index: %q", from)
		}
		y := x
		if ranged {
			if y, err = strconv.ParseInt(to, 10, 32); err != nil {
				return 0, fmt.Errorf("cannot convert string to integer for index: %q", to)
			}
			if y <= x {
				return 0, fmt.Errorf("non-increasing order, previous: %d, current: %d", x, y)
			}
		}
		if int32(x) <= last {
			return 0, fmt.Errorf("non-increasing order, previous: %d, current: %d", last, x)
		}
		if int32(y) >= completions {
			return 0, fmt.Errorf("too large index: %q", strconv.FormatInt(y, 10))
		}
		total += int32(y-x) + 1
		last = int32(y)
	}
	return total, nil
}

func validateReplacement(s *batchv1.JobSpec, at *field.Path) field.ErrorList {
	if s.PodReplacementPolicy == nil {
		return nil
	}
	valid := []batchv1.PodReplacementPolicy{batchv1.Failed, batchv1.TerminatingOrFailed}
	if s.PodFailurePolicy != nil {
		valid = valid[:1]
	}
	if !slices.Contains(valid, *s.PodReplacementPolicy) {
		return field.ErrorList{field.NotSupported(at, *s.PodReplacementPolicy, valid)}
	}
	return nil
}

// validateJobUpdate keeps what a running job cannot change. A job that has not
// started yet, or is suspended, may still be sent to other nodes.
func validateJobUpdate(next, old *batchv1.Job) field.ErrorList {
	errs := validateJob(next)
	n, o := &next.Spec, &old.Spec
	immutable := func(name string, a, b any) {
		if !equality.Semantic.DeepEqual(a, b) {
			errs = append(errs, field.Invalid(specPath.Child(name), a, meta.FieldImmutable))
		}
	}
	indexed := o.CompletionMode != nil && *o.CompletionMode == batchv1.IndexedCompletion
	if !indexed || !equality.Semantic.DeepEqual(n.Completions, n.Parallelism) {
		immutable("completions", n.Completions, o.Completions)
	}
	immutable("selector", n.Selector, o.Selector)
	was := o.Template.DeepCopy()
	if o.Suspend != nil && *o.Suspend && old.Status.StartTime == nil || n.Suspend != nil && *n.Suspend && o.Suspend != nil && *o.Suspend {
		carryScheduling(was, &n.Template)
	}
	if o.Suspend != nil && *o.Suspend && n.Suspend != nil && *n.Suspend && old.Status.Active == 0 {
		carryResources(was.Spec.Containers, n.Template.Spec.Containers)
		carryResources(was.Spec.InitContainers, n.Template.Spec.InitContainers)
	}
	immutable("template", &n.Template, was)
	immutable("completionMode", n.CompletionMode, o.CompletionMode)
	immutable("podFailurePolicy", n.PodFailurePolicy, o.PodFailurePolicy)
	immutable("backoffLimitPerIndex", n.BackoffLimitPerIndex, o.BackoffLimitPerIndex)
	immutable("managedBy", n.ManagedBy, o.ManagedBy)
	immutable("successPolicy", n.SuccessPolicy, o.SuccessPolicy)
	return errs
}

// carryResources takes over what pods get, while there are none.
func carryResources(to, from []corev1.Container) {
	for i := range min(len(to), len(from)) {
		to[i].Resources = from[i].Resources
	}
}

// carryScheduling takes over what decides where pods run.
func carryScheduling(to, from *corev1.PodTemplateSpec) {
	to.Spec.NodeSelector, to.Spec.Tolerations, to.Spec.SchedulingGates = from.Spec.NodeSelector, from.Spec.Tolerations, from.Spec.SchedulingGates
	to.Annotations, to.Labels = from.Annotations, from.Labels
	switch {
	case to.Spec.Affinity == nil && from.Spec.Affinity != nil:
		to.Spec.Affinity = &corev1.Affinity{NodeAffinity: from.Spec.Affinity.NodeAffinity}
	case to.Spec.Affinity != nil && from.Spec.Affinity != nil:
		to.Spec.Affinity.NodeAffinity = from.Spec.Affinity.NodeAffinity
	case to.Spec.Affinity != nil:
		to.Spec.Affinity.NodeAffinity = nil
		if to.Spec.Affinity.PodAffinity == nil && to.Spec.Affinity.PodAntiAffinity == nil {
			to.Spec.Affinity = nil
		}
	}
}
