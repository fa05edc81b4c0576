package batch

import (
	"github.com/skiff-k8s/skiff/internal/api/core"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// CronJob is all there is about CronJob objects on the server.
var CronJob = api.Kind[batchv1.CronJob]{
	Version: batchv1.SchemeGroupVersion, Resource: "cronjobs", Short: []string{"cj"}, Categories: []string{"all"}, Namespaced: true,
	Versions:       cronJobVersions,
	List:           &batchv1.CronJobList{},
	Status:         api.StatusOf(func(o *batchv1.CronJob) *batchv1.CronJobStatus { return &o.Status }),
	Spec:           func(o *batchv1.CronJob) any { return &o.Spec },
	Default:        defaultCronJob,
	Validate:       validateCronJob,
	ValidateUpdate: validateCronJobUpdate,
	Warn: func(next, old *batchv1.CronJob) []string {
		if old != nil && old.Generation == next.Generation {
			return nil
		}
		return core.TemplateWarnings(nameIfNew(old == nil, next.Name), &next.Spec.JobTemplate.Spec.Template, specPath.Child("jobTemplate", "spec", "template"))
	},
	Columns: api.Columns[batchv1.CronJob]{
		api.NameColumn[batchv1.CronJob](),
		api.Text("Schedule", "The schedule in Cron format, see https://en.wikipedia.org/wiki/Cron.", func(o *batchv1.CronJob) any { return o.Spec.Schedule }),
		api.Text("Timezone", "The time zone name for the given schedule, see https://en.wikipedia.org/wiki/List_of_tz_database_time_zones.", func(o *batchv1.CronJob) any { return orNone(o.Spec.TimeZone) }),
		// compat: the head says boolean, the cell is text.
		{ColumnHead: api.ColumnHead{Name: "Suspend", Type: "boolean", Description: "This flag tells the controller to suspend subsequent executions, it does not apply to already started executions."}, Cell: func(o *batchv1.CronJob) any { return suspendText(o) }},
		api.Number("Active", "A list of pointers to currently running jobs.", func(o *batchv1.CronJob) any { return int64(len(o.Status.Active)) }),
		api.Text("Last Schedule", "Information when was the last time the job was successfully scheduled.", func(o *batchv1.CronJob) any { return lastSchedule(o) }),
		api.AgeColumn[batchv1.CronJob](),
		api.Wide("Containers", "Names of each container in the template.", func(o *batchv1.CronJob) any { return core.ContainerNames(&o.Spec.JobTemplate.Spec.Template.Spec) }),
		api.Wide("Images", "Images referenced by each container in the template.", func(o *batchv1.CronJob) any { return core.ContainerImages(&o.Spec.JobTemplate.Spec.Template.Spec) }),
		api.Wide("Selector", "A label query over pods that should match the pod count.", func(o *batchv1.CronJob) any { return metav1.FormatLabelSelector(o.Spec.JobTemplate.Spec.Selector) }),
	},
}
