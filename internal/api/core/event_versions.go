package core

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	eventsv1beta1 "k8s.io/api/events/v1beta1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// Events are of two groups: what core/v1 calls involvedObject and message,
// events.k8s.io calls regarding and note.

// eventFieldNames are the field selectors of events.k8s.io by their names in core/v1.
var eventFieldNames = map[string]string{
	"metadata.name": "metadata.name", "metadata.namespace": "metadata.namespace", "reason": "reason", "type": "type",
	"regarding.kind": "involvedObject.kind", "regarding.namespace": "involvedObject.namespace", "regarding.name": "involvedObject.name",
	"regarding.uid": "involvedObject.uid", "regarding.apiVersion": "involvedObject.apiVersion",
	"regarding.resourceVersion": "involvedObject.resourceVersion", "regarding.fieldPath": "involvedObject.fieldPath",
	"reportingController": "reportingComponent",
}

var eventV1 = api.As[corev1.Event, eventsv1.Event]{
	Version: eventsv1.SchemeGroupVersion, List: &eventsv1.EventList{}, Fields: eventFieldNames,
	Validate: validateNewEvent, ValidateUpdate: onlySeries, Forgives: otherInEvents,
	Read: func(from *eventsv1.Event, to *corev1.Event) error {
		*to = corev1.Event{ObjectMeta: from.ObjectMeta, InvolvedObject: from.Regarding, Reason: from.Reason, Message: from.Note, Source: from.DeprecatedSource,
			FirstTimestamp: from.DeprecatedFirstTimestamp, LastTimestamp: from.DeprecatedLastTimestamp, Count: from.DeprecatedCount, Type: from.Type,
			EventTime: from.EventTime, Action: from.Action, Related: from.Related, ReportingController: from.ReportingController, ReportingInstance: from.ReportingInstance}
		if s := from.Series; s != nil {
			to.Series = &corev1.EventSeries{Count: s.Count, LastObservedTime: s.LastObservedTime}
		}
		return nil
	},
	Show: func(from *corev1.Event, to *eventsv1.Event) error {
		*to = eventsv1.Event{ObjectMeta: from.ObjectMeta, Regarding: from.InvolvedObject, Reason: from.Reason, Note: from.Message, DeprecatedSource: from.Source,
			DeprecatedFirstTimestamp: from.FirstTimestamp, DeprecatedLastTimestamp: from.LastTimestamp, DeprecatedCount: from.Count, Type: from.Type,
			EventTime: from.EventTime, Action: from.Action, Related: from.Related, ReportingController: from.ReportingController, ReportingInstance: from.ReportingInstance}
		if s := from.Series; s != nil {
			to.Series = &eventsv1.EventSeries{Count: s.Count, LastObservedTime: s.LastObservedTime}
		}
		return nil
	},
}

// eventV1beta1 has the fields of events.k8s.io/v1, but not its strictness.
var eventV1beta1 = api.As[corev1.Event, eventsv1beta1.Event]{
	Version: eventsv1beta1.SchemeGroupVersion, List: &eventsv1beta1.EventList{}, Fields: eventFieldNames,
	Validate: validateTimedReporter, Forgives: isReporter,
	ValidateUpdate: func(next, _ *corev1.Event) field.ErrorList { return validateTimedReporter(next) },
	Read: func(from *eventsv1beta1.Event, to *corev1.Event) error {
		*to = corev1.Event{ObjectMeta: from.ObjectMeta, InvolvedObject: from.Regarding, Reason: from.Reason, Message: from.Note, Source: from.DeprecatedSource,
			FirstTimestamp: from.DeprecatedFirstTimestamp, LastTimestamp: from.DeprecatedLastTimestamp, Count: from.DeprecatedCount, Type: from.Type,
			EventTime: from.EventTime, Action: from.Action, Related: from.Related, ReportingController: from.ReportingController, ReportingInstance: from.ReportingInstance}
		if s := from.Series; s != nil {
			to.Series = &corev1.EventSeries{Count: s.Count, LastObservedTime: s.LastObservedTime}
		}
		return nil
	},
	Show: func(from *corev1.Event, to *eventsv1beta1.Event) error {
		*to = eventsv1beta1.Event{ObjectMeta: from.ObjectMeta, Regarding: from.InvolvedObject, Reason: from.Reason, Note: from.Message, DeprecatedSource: from.Source,
			DeprecatedFirstTimestamp: from.FirstTimestamp, DeprecatedLastTimestamp: from.LastTimestamp, DeprecatedCount: from.Count, Type: from.Type,
			EventTime: from.EventTime, Action: from.Action, Related: from.Related, ReportingController: from.ReportingController, ReportingInstance: from.ReportingInstance}
		if s := from.Series; s != nil {
			to.Series = &eventsv1beta1.EventSeries{Count: s.Count, LastObservedTime: s.LastObservedTime}
		}
		return nil
	},
}

var eventNamePath = field.NewPath("metadata", "name")

// otherInEvents tells of what core/v1 refuses and events.k8s.io refuses in other words: names, which are of
// any kind there, and who tells of the event.
func otherInEvents(e *field.Error) bool {
	return isReporter(e) || e.Field == "metadata.name" && strings.HasPrefix(e.Detail, "may not ")
}

func isReporter(e *field.Error) bool { return e.Field == "reportingComponent" }

func validateTimedReporter(e *corev1.Event) field.ErrorList {
	if e.EventTime.IsZero() {
		return nil
	}
	return validateReporter(e, "reportingController")
}

// validateNewEvent is what events.k8s.io/v1 demands of a new event.
func validateNewEvent(e *corev1.Event) field.ErrorList {
	var errs field.ErrorList
	if e.Name != "" {
		errs = meta.Invalids(eventNamePath, e.Name, meta.DNSSubdomain(e.Name))
	}
	errs = append(errs, validateTimedReporter(e)...)
	if e.EventTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("eventTime"), ""))
	}
	if s := e.Series; s != nil {
		if s.Count < 2 {
			errs = append(errs, field.Invalid(field.NewPath("series.count"), "", "should be at least 2"))
		}
		if s.LastObservedTime.IsZero() {
			errs = append(errs, field.Required(field.NewPath("series.lastObservedTime"), ""))
		}
	}
	if e.Type != corev1.EventTypeNormal && e.Type != corev1.EventTypeWarning {
		errs = append(errs, field.Invalid(field.NewPath("type"), "", "has invalid value: "+e.Type))
	}
	unset := func(name string, set bool) {
		if set {
			errs = append(errs, field.Invalid(field.NewPath(name), "", "needs to be unset"))
		}
	}
	unset("firstTimestamp", !e.FirstTimestamp.IsZero())
	unset("lastTimestamp", !e.LastTimestamp.IsZero())
	unset("count", e.Count != 0)
	unset("source", e.Source != corev1.EventSource{})
	return errs
}

// onlySeries is what events.k8s.io/v1 demands of an update: it may tell of more of the same, and of nothing else.
func onlySeries(next, old *corev1.Event) field.ErrorList {
	var errs field.ErrorList
	same := func(name string, a, b any) {
		if meta.Equal(a, b) {
			return
		}
		switch a.(type) {
		case corev1.ObjectReference, *corev1.ObjectReference, corev1.EventSource:
			a = meta.GoNames(a)
		}
		errs = append(errs, field.Invalid(field.NewPath(name), a, meta.FieldImmutable).WithOrigin("immutable"))
	}
	same("involvedObject", next.InvolvedObject, old.InvolvedObject)
	same("reason", next.Reason, old.Reason)
	same("message", next.Message, old.Message)
	same("source", next.Source, old.Source)
	same("firstTimestamp", next.FirstTimestamp, old.FirstTimestamp)
	same("lastTimestamp", next.LastTimestamp, old.LastTimestamp)
	same("count", next.Count, old.Count)
	same("type", next.Type, old.Type)
	if !next.EventTime.Truncate(time.Microsecond).Equal(old.EventTime.Truncate(time.Microsecond)) {
		same("eventTime", next.EventTime, old.EventTime)
	}
	same("action", next.Action, old.Action)
	same("related", next.Related, old.Related)
	same("reportingController", next.ReportingController, old.ReportingController)
	same("reportingInstance", next.ReportingInstance, old.ReportingInstance)
	return errs
}
