package batch

import (
	batchv1 "k8s.io/api/batch/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// CronJob is all there is about CronJob objects on the server.
var CronJob = api.Kind[batchv1.CronJob]{
	Version: batchv1.SchemeGroupVersion, Resource: "cronjobs", Short: []string{"cj"}, Categories: []string{"all"}, Namespaced: true,
	List:   &batchv1.CronJobList{},
	Status: api.StatusOf(func(o *batchv1.CronJob) *batchv1.CronJobStatus { return &o.Status }),
	Spec:   func(o *batchv1.CronJob) any { return &o.Spec },
}
