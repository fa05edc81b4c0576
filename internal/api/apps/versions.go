package apps

import (
	"math"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	appsv1beta1 "k8s.io/api/apps/v1beta1"
	appsv1beta2 "k8s.io/api/apps/v1beta2"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// The workloads of the time before apps/v1 have the same fields, and other defaults:
// labels and selectors come from the pod template, updates are more careful, and
// history is kept longer or shorter. What they have and apps/v1 has not is kept in annotations.
const (
	annotationRollback   = appsv1.DeprecatedRollbackTo
	annotationGeneration = appsv1.DeprecatedTemplateGeneration
)

// fromTemplate gives an object the labels and the selector that its pods have.
func fromTemplate(o *metav1.ObjectMeta, selector **metav1.LabelSelector, labels map[string]string) {
	if labels == nil {
		return
	}
	if *selector == nil {
		*selector = &metav1.LabelSelector{MatchLabels: labels}
	}
	if len(o.Labels) == 0 {
		o.Labels = labels
	}
}

// selectorMayChange: before apps/v1beta2, what an object selects was not for good.
func selectorMayChange(e *field.Error) bool {
	return e.Field == "spec.selector" && e.Detail == meta.FieldImmutable
}

func orDefault[T any](p **T, v T) {
	if *p == nil {
		*p = &v
	}
}

var deploymentVersions = api.Versions{
	api.As[appsv1.Deployment, appsv1beta2.Deployment]{Version: appsv1beta2.SchemeGroupVersion, List: &appsv1beta2.DeploymentList{}, Orphans: true, Scale: scaleV1beta2},
	api.As[appsv1.Deployment, appsv1beta1.Deployment]{Version: appsv1beta1.SchemeGroupVersion, List: &appsv1beta1.DeploymentList{}, Orphans: true, Scale: scaleV1beta1, Subresources: rollbackV1beta1, Forgives: selectorMayChange,
		Default: func(d *appsv1beta1.Deployment) {
			fromTemplate(&d.ObjectMeta, &d.Spec.Selector, d.Spec.Template.Labels)
			orDefault(&d.Spec.RevisionHistoryLimit, 2)
		},
		AfterRead: func(from *appsv1beta1.Deployment, to *appsv1.Deployment) {
			if r := from.Spec.RollbackTo; r != nil {
				annotate(&to.ObjectMeta, annotationRollback, r.Revision)
			}
		},
		AfterShow: func(from *appsv1.Deployment, to *appsv1beta1.Deployment) {
			if rev, ok := rollbackOf(&to.ObjectMeta); ok {
				to.Spec.RollbackTo = &appsv1beta1.RollbackConfig{Revision: rev}
			}
		}},
	api.As[appsv1.Deployment, extensionsv1beta1.Deployment]{Version: extensionsv1beta1.SchemeGroupVersion, List: &extensionsv1beta1.DeploymentList{}, Orphans: true, Scale: scaleExtensions, Subresources: rollbackExtensions, Forgives: selectorMayChange,
		Default: func(d *extensionsv1beta1.Deployment) {
			fromTemplate(&d.ObjectMeta, &d.Spec.Selector, d.Spec.Template.Labels)
			st := &d.Spec.Strategy
			if st.Type == "" {
				st.Type = extensionsv1beta1.RollingUpdateDeploymentStrategyType
			}
			if st.Type == extensionsv1beta1.RollingUpdateDeploymentStrategyType {
				orDefault(&st.RollingUpdate, extensionsv1beta1.RollingUpdateDeployment{})
				orDefault(&st.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
				orDefault(&st.RollingUpdate.MaxSurge, intstr.FromInt32(1))
			}
			orDefault(&d.Spec.ProgressDeadlineSeconds, math.MaxInt32)
			orDefault(&d.Spec.RevisionHistoryLimit, math.MaxInt32)
		},
		AfterRead: func(from *extensionsv1beta1.Deployment, to *appsv1.Deployment) {
			if r := from.Spec.RollbackTo; r != nil {
				annotate(&to.ObjectMeta, annotationRollback, r.Revision)
			}
		},
		AfterShow: func(from *appsv1.Deployment, to *extensionsv1beta1.Deployment) {
			if rev, ok := rollbackOf(&to.ObjectMeta); ok {
				to.Spec.RollbackTo = &extensionsv1beta1.RollbackConfig{Revision: rev}
			}
		}},
}

// annotate notes a number for which apps/v1 has no field; the map is the object's own.
func annotate(o *metav1.ObjectMeta, name string, n int64) {
	if o.Annotations == nil {
		o.Annotations = map[string]string{}
	}
	o.Annotations[name] = strconv.FormatInt(n, 10)
}

// take removes an annotation that stands for a number; the map is the object's own.
func take(o *metav1.ObjectMeta, name string) (int64, bool) {
	text, ok := o.Annotations[name]
	if !ok {
		return 0, false
	}
	delete(o.Annotations, name)
	if len(o.Annotations) == 0 {
		o.Annotations = nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

func rollbackOf(o *metav1.ObjectMeta) (int64, bool) { return take(o, annotationRollback) }

var daemonSetVersions = api.Versions{
	api.As[appsv1.DaemonSet, appsv1beta2.DaemonSet]{Version: appsv1beta2.SchemeGroupVersion, List: &appsv1beta2.DaemonSetList{}, Orphans: true},
	api.As[appsv1.DaemonSet, extensionsv1beta1.DaemonSet]{Version: extensionsv1beta1.SchemeGroupVersion, List: &extensionsv1beta1.DaemonSetList{}, Orphans: true, Forgives: selectorMayChange,
		Default: func(d *extensionsv1beta1.DaemonSet) {
			fromTemplate(&d.ObjectMeta, &d.Spec.Selector, d.Spec.Template.Labels)
			if d.Spec.UpdateStrategy.Type == "" {
				d.Spec.UpdateStrategy.Type = extensionsv1beta1.OnDeleteDaemonSetStrategyType
			}
		},
		AfterRead: func(from *extensionsv1beta1.DaemonSet, to *appsv1.DaemonSet) {
			if g := from.Spec.TemplateGeneration; g != 0 {
				annotate(&to.ObjectMeta, annotationGeneration, g)
			}
		},
		AfterShow: func(from *appsv1.DaemonSet, to *extensionsv1beta1.DaemonSet) {
			to.Spec.TemplateGeneration, _ = take(&to.ObjectMeta, annotationGeneration)
		}},
}

var replicaSetVersions = api.Versions{
	api.As[appsv1.ReplicaSet, appsv1beta2.ReplicaSet]{Version: appsv1beta2.SchemeGroupVersion, List: &appsv1beta2.ReplicaSetList{}, Orphans: true, Scale: scaleV1beta2},
	api.As[appsv1.ReplicaSet, extensionsv1beta1.ReplicaSet]{Version: extensionsv1beta1.SchemeGroupVersion, List: &extensionsv1beta1.ReplicaSetList{}, Orphans: true, Scale: scaleExtensions, Forgives: selectorMayChange,
		Default: func(r *extensionsv1beta1.ReplicaSet) {
			fromTemplate(&r.ObjectMeta, &r.Spec.Selector, r.Spec.Template.Labels)
		}},
}

var statefulSetVersions = api.Versions{
	api.As[appsv1.StatefulSet, appsv1beta2.StatefulSet]{Version: appsv1beta2.SchemeGroupVersion, List: &appsv1beta2.StatefulSetList{}, Orphans: true, Scale: scaleV1beta2},
	api.As[appsv1.StatefulSet, appsv1beta1.StatefulSet]{Version: appsv1beta1.SchemeGroupVersion, List: &appsv1beta1.StatefulSetList{}, Orphans: true, Scale: scaleV1beta1,
		Default: func(s *appsv1beta1.StatefulSet) {
			fromTemplate(&s.ObjectMeta, &s.Spec.Selector, s.Spec.Template.Labels)
			if s.Spec.UpdateStrategy.Type == "" {
				s.Spec.UpdateStrategy.Type = appsv1beta1.OnDeleteStatefulSetStrategyType
			}
		}},
}

var controllerRevisionVersions = api.Versions{
	api.As[appsv1.ControllerRevision, appsv1beta2.ControllerRevision]{Version: appsv1beta2.SchemeGroupVersion, List: &appsv1beta2.ControllerRevisionList{}},
	api.As[appsv1.ControllerRevision, appsv1beta1.ControllerRevision]{Version: appsv1beta1.SchemeGroupVersion, List: &appsv1beta1.ControllerRevisionList{}},
}
