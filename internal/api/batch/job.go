package batch

import (
	batchv1 "k8s.io/api/batch/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Job is all there is about Job objects on the server.
var Job = api.Kind[batchv1.Job]{
	Version: batchv1.SchemeGroupVersion, Resource: "jobs", Categories: []string{"all"}, Namespaced: true,
	List:   &batchv1.JobList{},
	Status: api.StatusOf(func(o *batchv1.Job) *batchv1.JobStatus { return &o.Status }),
	Spec:   func(o *batchv1.Job) any { return &o.Spec },
}
