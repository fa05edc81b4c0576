package apps

import (
	"fmt"

	"github.com/skiff-k8s/skiff/internal/api/core"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// StatefulSet is all there is about StatefulSet objects on the server.
var StatefulSet = api.Kind[appsv1.StatefulSet]{
	Version: appsv1.SchemeGroupVersion, Resource: "statefulsets", Short: []string{"sts"}, Categories: []string{"all"}, Namespaced: true,
	Versions: statefulSetVersions,
	List:     &appsv1.StatefulSetList{},
	Status:   api.StatusOf(func(o *appsv1.StatefulSet) *appsv1.StatefulSetStatus { return &o.Status }).WithValidate(validateStatefulSetStatus),
	Spec:     func(o *appsv1.StatefulSet) any { return &o.Spec },
	Scale: &api.Scale[appsv1.StatefulSet]{
		Replicas:    func(o *appsv1.StatefulSet) int32 { return *o.Spec.Replicas },
		SetReplicas: func(o *appsv1.StatefulSet, n int32) { o.Spec.Replicas = &n },
		Observed:    func(o *appsv1.StatefulSet) int32 { return o.Status.Replicas },
		Selector:    func(o *appsv1.StatefulSet) string { return metav1.FormatLabelSelector(o.Spec.Selector) },
	},
	Name:           api.NameIsDNSLabel,
	Default:        defaultStatefulSet,
	Validate:       validateNewStatefulSet,
	ValidateUpdate: validateStatefulSetUpdate,
	Warn:           warnStatefulSet,
	Columns: api.Columns[appsv1.StatefulSet]{
		api.NameColumn[appsv1.StatefulSet](),
		api.Text("Ready", "Number of the pod with ready state", func(o *appsv1.StatefulSet) any { return fmt.Sprintf("%d/%d", o.Status.ReadyReplicas, *o.Spec.Replicas) }),
		api.AgeColumn[appsv1.StatefulSet](),
		api.Wide("Containers", "Names of each container in the template.", func(o *appsv1.StatefulSet) any { return core.ContainerNames(&o.Spec.Template.Spec) }),
		api.Wide("Images", "Images referenced by each container in the template.", func(o *appsv1.StatefulSet) any { return core.ContainerImages(&o.Spec.Template.Spec) }),
	},
}
