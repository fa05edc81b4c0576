package batch

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultJob(o *batchv1.Job) {
	s := &o.Spec
	s.Scheduling = nil // behind a gate that is off by default: nothing here schedules jobs as a whole
	core.DefaultPodTemplate(&s.Template)
	if s.Completions == nil && s.Parallelism == nil {
		meta.DefaultAt(&s.Completions, 1)
	}
	meta.DefaultAt(&s.Parallelism, 1)
	if s.BackoffLimit == nil {
		if s.BackoffLimitPerIndex != nil {
			meta.DefaultAt(&s.BackoffLimit, math.MaxInt32)
		} else {
			meta.DefaultAt(&s.BackoffLimit, 6)
		}
	}
	if len(o.Labels) == 0 && len(s.Template.Labels) > 0 && meta.LabelValue(s.Template.Labels[batchv1.JobNameLabel]) == nil {
		o.Labels = s.Template.Labels // the very map: prepareJob tells by it where they come from
	}
	meta.DefaultAt(&s.CompletionMode, batchv1.NonIndexedCompletion)
	meta.DefaultAt(&s.Suspend, false)
	if s.PodFailurePolicy != nil {
		for i := range s.PodFailurePolicy.Rules {
			for j := range s.PodFailurePolicy.Rules[i].OnPodConditions {
				meta.Default(&s.PodFailurePolicy.Rules[i].OnPodConditions[j].Status, corev1.ConditionTrue)
			}
		}
		meta.DefaultAt(&s.PodReplacementPolicy, batchv1.Failed)
	}
	meta.DefaultAt(&s.PodReplacementPolicy, batchv1.TerminatingOrFailed)
	meta.DefaultAt(&s.ManualSelector, false)
}

// labels of a job's pods under their old names.
const (
	oldControllerUID = "controller-uid"
	oldJobName       = "job-name"
)

// prepareJob gives the pods labels of their own job, and selects by those.
func prepareJob(o *batchv1.Job) {
	s := &o.Spec
	if s.ManualSelector != nil && *s.ManualSelector {
		return
	}
	shared := len(o.Labels) == 0 || reflect.ValueOf(o.Labels).Pointer() == reflect.ValueOf(s.Template.Labels).Pointer()
	labels := make(map[string]string, len(s.Template.Labels)+4)
	for k, v := range s.Template.Labels {
		labels[k] = v
	}
	for k, v := range map[string]string{
		oldJobName: o.Name, batchv1.JobNameLabel: o.Name,
		oldControllerUID: string(o.UID), batchv1.ControllerUidLabel: string(o.UID),
	} {
		// Whoever set one knows what it means: it is checked against the selector.
		if _, ok := labels[k]; !ok {
			labels[k] = v
		}
	}
	s.Template.Labels = labels
	if shared {
		// compat: a job without labels of its own has those of its pods, these as well. A name that is no label is reported once, at the template.
		o.Labels = nil
		if meta.LabelValue(labels[batchv1.JobNameLabel]) == nil {
			o.Labels = maps.Clone(labels)
		}
	}
	if s.Selector == nil {
		s.Selector = &metav1.LabelSelector{}
	}
	if s.Selector.MatchLabels == nil {
		s.Selector.MatchLabels = map[string]string{}
	}
	if _, ok := s.Selector.MatchLabels[batchv1.ControllerUidLabel]; !ok {
		s.Selector.MatchLabels[batchv1.ControllerUidLabel] = string(o.UID)
	}
}

func jobStatus(o *batchv1.Job) string {
	has := func(t batchv1.JobConditionType) bool {
		for i := range o.Status.Conditions {
			if c := &o.Status.Conditions[i]; c.Type == t && c.Status == corev1.ConditionTrue {
				return true
			}
		}
		return false
	}
	switch {
	case has(batchv1.JobComplete):
		return "Complete"
	case has(batchv1.JobFailed):
		return "Failed"
	case o.DeletionTimestamp != nil:
		return "Terminating"
	case has(batchv1.JobSuspended):
		return "Suspended"
	case has(batchv1.JobFailureTarget):
		return "FailureTarget"
	case has(batchv1.JobSuccessCriteriaMet):
		return "SuccessCriteriaMet"
	}
	return "Running"
}

func jobCompletions(o *batchv1.Job) string {
	if o.Spec.Completions != nil {
		return fmt.Sprintf("%d/%d", o.Status.Succeeded, *o.Spec.Completions)
	}
	parallelism := int32(0)
	if o.Spec.Parallelism != nil {
		parallelism = *o.Spec.Parallelism
	}
	if parallelism > 1 {
		return fmt.Sprintf("%d/1 of %d", o.Status.Succeeded, parallelism)
	}
	return fmt.Sprintf("%d/1", o.Status.Succeeded)
}

func jobDuration(o *batchv1.Job) string {
	switch {
	case o.Status.StartTime == nil:
		return ""
	case o.Status.CompletionTime == nil:
		return duration.HumanDuration(time.Since(o.Status.StartTime.Time))
	}
	return duration.HumanDuration(o.Status.CompletionTime.Sub(o.Status.StartTime.Time))
}

// nameIfNew is the name that pods will have, of what is new.
func nameIfNew(created bool, name string) string {
	if created {
		return name
	}
	return ""
}
