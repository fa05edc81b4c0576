package batch

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultCronJob(o *batchv1.CronJob) {
	s := &o.Spec
	meta.Default(&s.ConcurrencyPolicy, batchv1.AllowConcurrent)
	meta.DefaultAt(&s.Suspend, false)
	meta.DefaultAt(&s.SuccessfulJobsHistoryLimit, 3)
	meta.DefaultAt(&s.FailedJobsHistoryLimit, 1)
	s.JobTemplate.Spec.Scheduling = nil // as in jobs
	core.DefaultPodTemplate(&s.JobTemplate.Spec.Template)
}

// cronJobName leaves room for the time of a run in the names of its jobs.
const cronJobName = 63 - 11

func validateCronJob(o *batchv1.CronJob) field.ErrorList {
	errs := validateCronJobUpdate(o, nil)
	if len(o.Name) > cronJobName {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), o.Name, fmt.Sprintf("must be no more than %d characters", cronJobName)))
	}
	return errs
}

func validateCronJobUpdate(o, _ *batchv1.CronJob) field.ErrorList {
	s := &o.Spec
	var errs field.ErrorList
	if s.Schedule == "" {
		errs = append(errs, field.Required(specPath.Child("schedule"), ""))
	} else {
		errs = append(errs, validateSchedule(s.Schedule, s.TimeZone, specPath.Child("schedule"))...)
	}
	errs = append(errs, meta.NonNegativeAt(s.StartingDeadlineSeconds, specPath, "startingDeadlineSeconds")...)
	switch s.ConcurrencyPolicy {
	case batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent:
	default:
		errs = append(errs, field.NotSupported(specPath.Child("concurrencyPolicy"), s.ConcurrencyPolicy, []batchv1.ConcurrencyPolicy{batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent}))
	}
	errs = append(errs, meta.NonNegativeAt(s.SuccessfulJobsHistoryLimit, specPath, "successfulJobsHistoryLimit")...)
	errs = append(errs, meta.NonNegativeAt(s.FailedJobsHistoryLimit, specPath, "failedJobsHistoryLimit")...)
	errs = append(errs, validateTimeZone(s.TimeZone, specPath.Child("timeZone"))...)
	at := specPath.Child("jobTemplate", "spec")
	j := &s.JobTemplate.Spec
	errs = append(errs, validateJobSpec(j, at)...)
	if j.Selector != nil {
		errs = append(errs, field.Invalid(at.Child("selector"), j.Selector, "`selector` will be auto-generated"))
	}
	if j.ManualSelector != nil && *j.ManualSelector {
		errs = append(errs, field.NotSupported(at.Child("manualSelector"), j.ManualSelector, []string{"nil", "false"}))
	}
	return errs
}

func validateSchedule(schedule string, zone *string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if strings.Contains(schedule, "TZ") {
		if zone != nil {
			errs = append(errs, field.Invalid(at, schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule"))
		} else {
			errs = append(errs, field.Invalid(at, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))
		}
		return errs
	}
	if _, err := cron.ParseStandard(schedule); err != nil {
		errs = append(errs, field.Invalid(at, schedule, err.Error()))
	}
	return errs
}

func validateTimeZone(zone *string, at *field.Path) field.ErrorList {
	if zone == nil {
		return nil
	}
	if *zone == "" {
		return field.ErrorList{field.Invalid(at, *zone, "timeZone must be nil or non-empty string")}
	}
	if strings.EqualFold(*zone, "Local") {
		return field.ErrorList{field.Invalid(at, *zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")}
	}
	if _, err := time.LoadLocation(*zone); err != nil {
		return field.ErrorList{field.Invalid(at, *zone, err.Error())}
	}
	return nil
}

func orNone(s *string) string {
	if s == nil {
		return "<none>"
	}
	return *s
}

func suspendText(o *batchv1.CronJob) string {
	if o.Spec.Suspend == nil {
		return "<unset>"
	}
	if *o.Spec.Suspend {
		return "True"
	}
	return "False"
}

func lastSchedule(o *batchv1.CronJob) string {
	if o.Status.LastScheduleTime == nil {
		return "<none>"
	}
	return api.Age(*o.Status.LastScheduleTime)
}
