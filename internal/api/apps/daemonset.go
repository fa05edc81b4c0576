package apps

import (
	"github.com/skiff-k8s/skiff/internal/api/core"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/skiff-k8s/skiff/internal/api"
)

// DaemonSet is all there is about DaemonSet objects on the server.
var DaemonSet = api.Kind[appsv1.DaemonSet]{
	Version: appsv1.SchemeGroupVersion, Resource: "daemonsets", Short: []string{"ds"}, Categories: []string{"all"}, Namespaced: true,
	Versions:       daemonSetVersions,
	List:           &appsv1.DaemonSetList{},
	Status:         api.StatusOf(func(o *appsv1.DaemonSet) *appsv1.DaemonSetStatus { return &o.Status }).WithValidate(validateDaemonSetStatus),
	Spec:           func(o *appsv1.DaemonSet) any { return &o.Spec },
	Prepare:        prepareDaemonSet,
	PrepareUpdate:  prepareDaemonSetUpdate,
	Default:        defaultDaemonSet,
	Validate:       validateDaemonSet,
	ValidateUpdate: validateDaemonSetUpdate,
	Warn:           warnDaemonSet,
	Columns: api.Columns[appsv1.DaemonSet]{
		api.NameColumn[appsv1.DaemonSet](),
		api.Number("Desired", "The total number of nodes that should be running the daemon pod (including nodes correctly running the daemon pod).", func(o *appsv1.DaemonSet) any { return int64(o.Status.DesiredNumberScheduled) }),
		api.Number("Current", "The number of nodes that are running at least 1 daemon pod and are supposed to run the daemon pod.", func(o *appsv1.DaemonSet) any { return int64(o.Status.CurrentNumberScheduled) }),
		api.Number("Ready", "numberReady is the number of nodes that should be running the daemon pod and have one or more of the daemon pod running with a Ready Condition.", func(o *appsv1.DaemonSet) any { return int64(o.Status.NumberReady) }),
		api.Number("Up-to-date", "The total number of nodes that are running updated daemon pod", func(o *appsv1.DaemonSet) any { return int64(o.Status.UpdatedNumberScheduled) }),
		api.Number("Available", "The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and available (ready for at least spec.minReadySeconds)", func(o *appsv1.DaemonSet) any { return int64(o.Status.NumberAvailable) }),
		api.Text("Node Selector", "A selector which must be true for the pod to fit on a node.", func(o *appsv1.DaemonSet) any { return labels.FormatLabels(o.Spec.Template.Spec.NodeSelector) }),
		api.AgeColumn[appsv1.DaemonSet](),
		api.Wide("Containers", "Names of each container in the template.", func(o *appsv1.DaemonSet) any { return core.ContainerNames(&o.Spec.Template.Spec) }),
		api.Wide("Images", "Images referenced by each container in the template.", func(o *appsv1.DaemonSet) any { return core.ContainerImages(&o.Spec.Template.Spec) }),
		api.Wide("Selector", "Label selector for pods.", func(o *appsv1.DaemonSet) any { return metav1.FormatLabelSelector(o.Spec.Selector) }),
	},
}
