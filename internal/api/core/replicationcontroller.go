package core

import (
	"k8s.io/apimachinery/pkg/util/validation/field"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ReplicationController is all there is about ReplicationController objects on the server.
var ReplicationController = api.Kind[corev1.ReplicationController]{
	Version: corev1.SchemeGroupVersion, Resource: "replicationcontrollers", Short: []string{"rc"}, Categories: []string{"all"}, Namespaced: true,
	Storage: "controllers",
	List:    &corev1.ReplicationControllerList{},
	// compat: pods stay unless the request says otherwise.
	Orphans: true,
	Status:  api.StatusOf(func(o *corev1.ReplicationController) *corev1.ReplicationControllerStatus { return &o.Status }).WithValidate(validateReplicationControllerStatus),
	Spec:    func(o *corev1.ReplicationController) any { return &o.Spec },
	Scale: &api.Scale[corev1.ReplicationController]{
		Replicas:    func(o *corev1.ReplicationController) int32 { return *o.Spec.Replicas },
		SetReplicas: func(o *corev1.ReplicationController, n int32) { o.Spec.Replicas = &n },
		Observed:    func(o *corev1.ReplicationController) int32 { return o.Status.Replicas },
		Selector:    func(o *corev1.ReplicationController) string { return labels.SelectorFromSet(o.Spec.Selector).String() },
	},
	Name:     api.NameIsLongName,
	Default:  defaultReplicationController,
	Validate: validateReplicationController,
	Warn:     warnReplicationController,
	ValidateUpdate: func(next, _ *corev1.ReplicationController) field.ErrorList {
		return validateReplicationController(next)
	},
	Fields: map[string]func(*corev1.ReplicationController) string{
		"status.replicas": func(o *corev1.ReplicationController) string { return strconv.Itoa(int(o.Status.Replicas)) },
	},
	Columns: append(append(api.Columns[corev1.ReplicationController]{
		api.NameColumn[corev1.ReplicationController](),
		api.Number("Desired", "Replicas is the number of desired replicas.", func(o *corev1.ReplicationController) any { return int64(*o.Spec.Replicas) }),
		api.Number("Current", "Replicas is the most recently observed number of replicas.", func(o *corev1.ReplicationController) any { return int64(o.Status.Replicas) }),
		api.Number("Ready", "The number of ready replicas for this replication controller.", func(o *corev1.ReplicationController) any { return int64(o.Status.ReadyReplicas) }),
		api.AgeColumn[corev1.ReplicationController](),
	}, TemplateColumns(func(o *corev1.ReplicationController) *corev1.PodSpec { return &o.Spec.Template.Spec })...),
		api.Wide("Selector", "Selector is a label query over pods that should match the Replicas count.", func(o *corev1.ReplicationController) any { return labels.FormatLabels(o.Spec.Selector) })),
}
