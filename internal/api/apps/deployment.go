package apps

import (
	"fmt"

	"github.com/skiff-k8s/skiff/internal/api/core"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Deployment is all there is about Deployment objects on the server.
var Deployment = api.Kind[appsv1.Deployment]{
	Version: appsv1.SchemeGroupVersion, Resource: "deployments", Short: []string{"deploy"}, Categories: []string{"all"}, Namespaced: true,
	Versions: deploymentVersions,
	List:     &appsv1.DeploymentList{},
	Status:   api.StatusOf(func(o *appsv1.Deployment) *appsv1.DeploymentStatus { return &o.Status }).WithValidate(validateDeploymentStatus),
	// compat: annotations count, for they are copied to the replica sets.
	Spec: func(o *appsv1.Deployment) any {
		return struct {
			Spec        *appsv1.DeploymentSpec
			Annotations map[string]string
		}{&o.Spec, o.Annotations}
	},
	Scale: &api.Scale[appsv1.Deployment]{
		Replicas:    func(o *appsv1.Deployment) int32 { return *o.Spec.Replicas },
		SetReplicas: func(o *appsv1.Deployment, n int32) { o.Spec.Replicas = &n },
		Observed:    func(o *appsv1.Deployment) int32 { return o.Status.Replicas },
		Selector:    func(o *appsv1.Deployment) string { return metav1.FormatLabelSelector(o.Spec.Selector) },
	},
	Default:        defaultDeployment,
	Validate:       validateDeployment,
	ValidateUpdate: validateDeploymentUpdate,
	Warn:           warnDeployment,
	Columns: api.Columns[appsv1.Deployment]{
		api.NameColumn[appsv1.Deployment](),
		api.Text("Ready", "Number of the pod with ready state", func(o *appsv1.Deployment) any { return fmt.Sprintf("%d/%d", o.Status.ReadyReplicas, *o.Spec.Replicas) }),
		api.Text("Up-to-date", "Total number of non-terminating pods targeted by this deployment that have the desired template spec.", func(o *appsv1.Deployment) any { return int64(o.Status.UpdatedReplicas) }),
		api.Text("Available", "Total number of available non-terminating pods (ready for at least minReadySeconds) targeted by this deployment.", func(o *appsv1.Deployment) any { return int64(o.Status.AvailableReplicas) }),
		api.AgeColumn[appsv1.Deployment](),
		api.Wide("Containers", "Names of each container in the template.", func(o *appsv1.Deployment) any { return core.ContainerNames(&o.Spec.Template.Spec) }),
		api.Wide("Images", "Images referenced by each container in the template.", func(o *appsv1.Deployment) any { return core.ContainerImages(&o.Spec.Template.Spec) }),
		api.Wide("Selector", "Label selector for pods.", func(o *appsv1.Deployment) any { return metav1.FormatLabelSelector(o.Spec.Selector) }),
	},
}
