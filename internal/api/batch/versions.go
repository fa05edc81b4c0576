package batch

import (
	batchv1 "k8s.io/api/batch/v1"
	batchv1beta1 "k8s.io/api/batch/v1beta1"

	"github.com/skiff-k8s/skiff/internal/api"
)

var cronJobVersions = api.Versions{
	api.As[batchv1.CronJob, batchv1beta1.CronJob]{Version: batchv1beta1.SchemeGroupVersion, List: &batchv1beta1.CronJobList{}, Orphans: true},
}
