package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var eventFields = map[string]func(*corev1.Event) string{
	"involvedObject.kind":            func(e *corev1.Event) string { return e.InvolvedObject.Kind },
	"involvedObject.namespace":       func(e *corev1.Event) string { return e.InvolvedObject.Namespace },
	"involvedObject.name":            func(e *corev1.Event) string { return e.InvolvedObject.Name },
	"involvedObject.uid":             func(e *corev1.Event) string { return string(e.InvolvedObject.UID) },
	"involvedObject.apiVersion":      func(e *corev1.Event) string { return e.InvolvedObject.APIVersion },
	"involvedObject.resourceVersion": func(e *corev1.Event) string { return e.InvolvedObject.ResourceVersion },
	"involvedObject.fieldPath":       func(e *corev1.Event) string { return e.InvolvedObject.FieldPath },
	"reason":                         func(e *corev1.Event) string { return e.Reason },
	"reportingComponent":             func(e *corev1.Event) string { return e.ReportingController },
	"source": func(e *corev1.Event) string {
		if e.Source.Component != "" {
			return e.Source.Component
		}
		return e.ReportingController
	},
	"type": func(e *corev1.Event) string { return e.Type },
}

var eventColumns = api.Columns[corev1.Event]{
	api.Text("Last Seen", "The time at which the most recent occurrence of this event was recorded.", func(e *corev1.Event) any { return eventLast(e) }),
	api.Text("Type", "Type of this event (Normal, Warning), new types could be added in the future", func(e *corev1.Event) any { return e.Type }),
	api.Text("Reason", "This should be a short, machine understandable string that gives the reason for the transition into the object's current status.", func(e *corev1.Event) any { return e.Reason }),
	api.Text("Object", "The object that this event is about.", func(e *corev1.Event) any { return eventObject(e) }),
	api.Wide("Subobject", "If referring to a piece of an object instead of an entire object, this string should contain a valid JSON/Go field access statement, such as desiredState.manifest.containers[2].", func(e *corev1.Event) any { return e.InvolvedObject.FieldPath }),
	api.Wide("Source", "The component reporting this event. Should be a short machine understandable string.", func(e *corev1.Event) any { return eventSource(e) }),
	api.Text("Message", "A human-readable description of the status of this operation.", func(e *corev1.Event) any { return strings.TrimSpace(e.Message) }),
	api.Wide("First Seen", "The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)", func(e *corev1.Event) any { return eventFirst(e) }),
	api.Wide("Count", "The number of times this event has occurred.", func(e *corev1.Event) any { return eventCount(e) }),
	{ColumnHead: api.ColumnHead{Name: "Name", Format: "name", Priority: 1, Description: api.NameColumn[corev1.Event]().Description}},
}

func eventFirst(e *corev1.Event) string {
	if e.FirstTimestamp.IsZero() {
		return api.Age(metav1.Time(e.EventTime))
	}
	return api.Age(e.FirstTimestamp)
}

func eventLast(e *corev1.Event) string {
	switch {
	case e.Series != nil:
		return api.Age(metav1.Time(e.Series.LastObservedTime))
	case e.LastTimestamp.IsZero():
		return eventFirst(e)
	}
	return api.Age(e.LastTimestamp)
}

func eventCount(e *corev1.Event) int64 {
	switch {
	case e.Series != nil:
		return int64(e.Series.Count)
	case e.Count == 0:
		return 1
	}
	return int64(e.Count)
}

func eventObject(e *corev1.Event) string {
	kind := strings.ToLower(e.InvolvedObject.Kind)
	if e.InvolvedObject.Name == "" {
		return kind
	}
	return kind + "/" + e.InvolvedObject.Name
}

func eventSource(e *corev1.Event) string {
	component, instance := e.Source.Component, e.Source.Host
	if component == "" {
		component = e.ReportingController
	}
	if instance == "" {
		instance = e.ReportingInstance
	}
	if instance == "" {
		return component
	}
	return component + ", " + instance
}

// validateEvent keeps events near what they are about: those about objects without
// a namespace live in default.
func validateEvent(e *corev1.Event) field.ErrorList {
	var errs field.ErrorList
	switch ns := e.InvolvedObject.Namespace; {
	case ns == "" && e.Namespace != metav1.NamespaceDefault && e.Namespace != metav1.NamespaceSystem && e.Namespace != "":
		errs = append(errs, field.Invalid(field.NewPath("involvedObject", "namespace"), ns, "does not match event.namespace"))
	case ns != "" && ns != e.Namespace && e.EventTime.IsZero():
		errs = append(errs, field.Invalid(field.NewPath("involvedObject", "namespace"), ns, "does not match event.namespace"))
	}
	if msgs := meta.DNSSubdomain(e.Namespace); msgs != nil {
		errs = append(errs, meta.Invalids(field.NewPath("namespace"), e.Namespace, msgs)...)
	}
	if e.EventTime.IsZero() {
		return errs
	}
	errs = append(errs, validateTimedEvent(e)...)
	return append(errs, validateReporter(e, "reportingComponent")...)
}

// validateReporter checks who tells of the event, by the name that the field has in a version.
func validateReporter(e *corev1.Event, name string) field.ErrorList {
	at := field.NewPath(name)
	errs := meta.Invalids(at, e.ReportingController, meta.QualifiedName(e.ReportingController))
	if e.ReportingController == "" {
		errs = append(errs, field.Required(at, ""))
	}
	return errs
}

// validateTimedEvent holds for events that say when they happened.
func validateTimedEvent(e *corev1.Event) field.ErrorList {
	var errs field.ErrorList
	errs = append(errs, required(nil, "reportingInstance", e.ReportingInstance, "action", e.Action, "reason", e.Reason)...)
	for _, f := range []struct {
		name, value string
		most        int
	}{{"reportingInstance", e.ReportingInstance, 128}, {"action", e.Action, 128}, {"reason", e.Reason, 128}, {"message", e.Message, 1024}} {
		if len(f.value) > f.most {
			errs = append(errs, field.Invalid(field.NewPath(f.name), "", fmt.Sprintf("can have at most %d characters", f.most)))
		}
	}
	return errs
}

// compat: through core/v1 everything of an event may be changed; events.k8s.io/v1 is stricter (event_versions.go).
func validateEventUpdate(next, _ *corev1.Event) field.ErrorList { return validateEvent(next) }
