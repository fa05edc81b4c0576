package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Event is all there is about Event objects on the server.
var Event = api.Kind[corev1.Event]{
	Version: corev1.SchemeGroupVersion, Resource: "events", Short: []string{"ev"}, Namespaced: true,
	Versions:        api.Versions{eventV1, eventV1beta1},
	LooseFinalizers: true,
	CreateOnUpdate:  true,
	List:            &corev1.EventList{},
	Lazy:            true,
	Validate:        validateEvent,
	ValidateUpdate:  validateEventUpdate,
	Name:            api.NameIsPathSegment,
	Fields:          eventFields,
	Columns:         eventColumns,
	Indexes: map[string]func(*corev1.Event) []string{
		"involved": func(o *corev1.Event) []string { return []string{string(o.InvolvedObject.UID)} },
	},
}
