package batch

import (
	"strconv"

	"github.com/skiff-k8s/skiff/internal/api/core"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Job is all there is about Job objects on the server.
var Job = api.Kind[batchv1.Job]{
	Version: batchv1.SchemeGroupVersion, Resource: "jobs", Categories: []string{"all"}, Namespaced: true,
	List: &batchv1.JobList{},
	// compat: pods stay unless the request says otherwise.
	Orphans:        true,
	Status:         api.StatusOf(func(o *batchv1.Job) *batchv1.JobStatus { return &o.Status }).WithValidate(validateJobStatus),
	Spec:           func(o *batchv1.Job) any { return &o.Spec },
	Default:        defaultJob,
	Prepare:        prepareJob,
	Validate:       validateJob,
	ValidateUpdate: validateJobUpdate,
	Warn: func(next, old *batchv1.Job) []string {
		if old != nil && old.Generation == next.Generation {
			return nil
		}
		return core.TemplateWarnings(nameIfNew(old == nil, next.Name), &next.Spec.Template, specPath.Child("template"))
	},
	Fields: map[string]func(*batchv1.Job) string{
		"status.successful": func(o *batchv1.Job) string { return strconv.Itoa(int(o.Status.Succeeded)) },
	},
	Columns: api.Columns[batchv1.Job]{
		api.NameColumn[batchv1.Job](),
		api.Text("Status", "Status of the job.", func(o *batchv1.Job) any { return jobStatus(o) }),
		api.Text("Completions", "The number of pods which reached phase Succeeded, of those that are wanted.", func(o *batchv1.Job) any { return jobCompletions(o) }),
		api.Text("Duration", "Time required to complete the job.", func(o *batchv1.Job) any { return jobDuration(o) }),
		api.AgeColumn[batchv1.Job](),
		api.Wide("Containers", "Names of each container in the template.", func(o *batchv1.Job) any { return core.ContainerNames(&o.Spec.Template.Spec) }),
		api.Wide("Images", "Images referenced by each container in the template.", func(o *batchv1.Job) any { return core.ContainerImages(&o.Spec.Template.Spec) }),
		api.Wide("Selector", "A label query over pods that should match the pod count.", func(o *batchv1.Job) any { return metav1.FormatLabelSelector(o.Spec.Selector) }),
	},
}
