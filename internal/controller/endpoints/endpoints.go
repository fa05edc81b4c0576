// Package endpoints writes the Endpoints object of each Service with a selector:
// the older form of EndpointSlices, for programs that still read it.
//
// Read this file, then subsets.go.
package endpoints

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

const (
	managedLabel = "endpoints.kubernetes.io/managed-by"
	managedBy    = "endpoint-controller"
	leader       = "control-plane.alpha.kubernetes.io/leader"
)

// Spec is the endpoints-controller.
func Spec() controller.Spec {
	return controller.Spec{
		Name: "endpoint-controller", For: all.For[*corev1.Service](), Workers: 5,
		Wakes: []controller.Wake{
			controller.PodServices(),
			// Those that somebody wrote by hand may be there before their Service: they wake nothing.
			{On: all.For[*corev1.Endpoints](), Keys: func(_ controller.View, o, _ api.Object) []controller.Key {
				if o.GetLabels()[managedLabel] != managedBy {
					return nil
				}
				return []controller.Key{controller.KeyOf(o)}
			}},
		},
		Step: Step,
	}
}

// Step decides what to do about the Endpoints of one Service.
func Step(v controller.View, k controller.Key) (controller.Plan, error) {
	current, err := client.Get[*corev1.Endpoints](v.Context, v, k.Namespace, k.Name)
	if err != nil && !errors.IsNotFound(err) {
		return controller.Plan{}, err
	}
	exists := err == nil
	s, err := client.Get[*corev1.Service](v.Context, v, k.Namespace, k.Name)
	if errors.IsNotFound(err) {
		if _, lock := annotations(current)[leader]; !exists || lock {
			return controller.Plan{}, nil
		}
		return controller.Plan{Do: []controller.Action{{Delete: &controller.Delete{Object: current}}}}, nil
	}
	if err != nil || s.Spec.Selector == nil || s.Spec.Type == corev1.ServiceTypeExternalName {
		return controller.Plan{}, err
	}
	pods, err := client.List[*corev1.Pod](v.Context, v, s.Namespace, labels.SelectorFromSet(s.Spec.Selector))
	if err != nil {
		return controller.Plan{}, err
	}
	next := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}}
	if exists {
		next = current.DeepCopy()
	}
	var cut bool
	next.Subsets, cut = truncate(subsets(s, pods))
	next.Labels = labelsOf(s)
	if cut {
		metav1.SetMetaDataAnnotation(&next.ObjectMeta, corev1.EndpointsOverCapacity, "truncated")
	} else {
		delete(next.Annotations, corev1.EndpointsOverCapacity)
	}
	if exists && equality.Semantic.DeepEqual(current, next) {
		return controller.Plan{}, nil
	}
	if at := controller.TriggerTime(s, pods, next.Annotations[corev1.EndpointsLastChangeTriggerTime]); at != "" {
		metav1.SetMetaDataAnnotation(&next.ObjectMeta, corev1.EndpointsLastChangeTriggerTime, at)
	} else {
		delete(next.Annotations, corev1.EndpointsLastChangeTriggerTime)
	}
	return controller.Plan{Do: []controller.Action{write(next, exists)}}, nil
}

func annotations(e *corev1.Endpoints) map[string]string {
	if e == nil {
		return nil
	}
	return e.Annotations
}

func labelsOf(s *corev1.Service) map[string]string {
	l := maps.Clone(s.Labels)
	if l == nil {
		l = map[string]string{}
	}
	delete(l, corev1.IsHeadlessService)
	if s.Spec.ClusterIP == corev1.ClusterIPNone || s.Spec.ClusterIP == "" {
		l[corev1.IsHeadlessService] = ""
	}
	l[managedLabel] = managedBy
	return l
}

func write(e *corev1.Endpoints, exists bool) controller.Action {
	name := e.Namespace + "/" + e.Name
	failed := func(err error, reason, message string) []controller.Action {
		switch {
		case errors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
			return nil
		case errors.IsConflict(err):
			return []controller.Action{{Fail: err}}
		}
		return []controller.Action{
			{Event: &controller.Event{About: e, Type: corev1.EventTypeWarning, Reason: reason, Message: message + err.Error()}},
			{Fail: err},
		}
	}
	if exists {
		return controller.Action{Update: e, Else: func(err error) []controller.Action {
			return failed(err, "FailedToUpdateEndpoint", "Failed to update endpoint "+name+": ")
		}}
	}
	return controller.Action{Create: e, Else: func(err error) []controller.Action {
		return failed(err, "FailedToCreateEndpoint", "Failed to create endpoint for service "+name+": ")
	}}
}
