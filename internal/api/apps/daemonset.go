package apps

import (
	appsv1 "k8s.io/api/apps/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// DaemonSet is all there is about DaemonSet objects on the server.
var DaemonSet = api.Kind[appsv1.DaemonSet]{
	Version: appsv1.SchemeGroupVersion, Resource: "daemonsets", Short: []string{"ds"}, Categories: []string{"all"}, Namespaced: true,
	List:   &appsv1.DaemonSetList{},
	Status: api.StatusOf(func(o *appsv1.DaemonSet) *appsv1.DaemonSetStatus { return &o.Status }),
	Spec:   func(o *appsv1.DaemonSet) any { return &o.Spec },
}
