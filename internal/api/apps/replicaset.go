package apps

import (
	"github.com/skiff-k8s/skiff/internal/api/core"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ReplicaSet is all there is about ReplicaSet objects on the server.
var ReplicaSet = api.Kind[appsv1.ReplicaSet]{
	Version: appsv1.SchemeGroupVersion, Resource: "replicasets", Short: []string{"rs"}, Categories: []string{"all"}, Namespaced: true,
	Versions: replicaSetVersions,
	List:     &appsv1.ReplicaSetList{},
	Status:   api.StatusOf(func(o *appsv1.ReplicaSet) *appsv1.ReplicaSetStatus { return &o.Status }).WithValidate(validateReplicaSetStatus),
	Spec:     func(o *appsv1.ReplicaSet) any { return &o.Spec },
	Scale: &api.Scale[appsv1.ReplicaSet]{
		Replicas:    func(o *appsv1.ReplicaSet) int32 { return *o.Spec.Replicas },
		SetReplicas: func(o *appsv1.ReplicaSet, n int32) { o.Spec.Replicas = &n },
		Observed:    func(o *appsv1.ReplicaSet) int32 { return o.Status.Replicas },
		Selector:    func(o *appsv1.ReplicaSet) string { return metav1.FormatLabelSelector(o.Spec.Selector) },
	},
	Default:        defaultReplicaSet,
	Validate:       validateReplicaSet,
	ValidateUpdate: validateReplicaSetUpdate,
	Warn:           warnReplicaSet,
	Columns: api.Columns[appsv1.ReplicaSet]{
		api.NameColumn[appsv1.ReplicaSet](),
		api.Number("Desired", "Replicas is the number of desired pods.", func(o *appsv1.ReplicaSet) any { return int64(*o.Spec.Replicas) }),
		api.Number("Current", "Replicas is the most recently observed number of non-terminating pods.", func(o *appsv1.ReplicaSet) any { return int64(o.Status.Replicas) }),
		api.Number("Ready", "The number of non-terminating pods targeted by this ReplicaSet with a Ready Condition.", func(o *appsv1.ReplicaSet) any { return int64(o.Status.ReadyReplicas) }),
		api.AgeColumn[appsv1.ReplicaSet](),
		api.Wide("Containers", "Names of each container in the template.", func(o *appsv1.ReplicaSet) any { return core.ContainerNames(&o.Spec.Template.Spec) }),
		api.Wide("Images", "Images referenced by each container in the template.", func(o *appsv1.ReplicaSet) any { return core.ContainerImages(&o.Spec.Template.Spec) }),
		api.Wide("Selector", "Label selector for pods.", func(o *appsv1.ReplicaSet) any { return metav1.FormatLabelSelector(o.Spec.Selector) }),
	},
}
