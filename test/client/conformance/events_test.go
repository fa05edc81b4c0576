package conformance

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestEvents(t *testing.T) {
	event := func(t *T, name string) *eventsv1.Event {
		return &eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"testevent": "true"}}, EventTime: metav1.NowMicro(), Note: "This is " + name, Reason: "Test", Action: "Do", Type: "Normal",
			ReportingController: "test-controller", ReportingInstance: "test-node", Regarding: corev1.ObjectReference{Namespace: t.ns}}
	}
	conform(t, "[sig-instrumentation] Events API should ensure that an event can be fetched, patched, deleted, and listed", func(t *T) {
		api, core := t.c.EventsV1().Events(t.ns), t.c.CoreV1().Events(t.ns)
		_, err := api.Create(t.ctx, event(t, "event-test"), metav1.CreateOptions{})
		t.ok(err)
		_, err = core.Create(t.ctx, &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Message: "other", Reason: "Test", Type: "Normal", Source: corev1.EventSource{Component: "other"}, InvolvedObject: corev1.ObjectReference{Namespace: t.ns}}, metav1.CreateOptions{})
		t.ok(err)
		all, err := t.c.EventsV1().Events("").List(t.ctx, metav1.ListOptions{LabelSelector: "testevent=true", FieldSelector: "metadata.namespace=" + t.ns})
		t.ok(err)
		t.want(len(all.Items) == 1 && all.Items[0].Note == "This is event-test", "%+v", all.Items)
		sourced, err := core.List(t.ctx, metav1.ListOptions{FieldSelector: "source=test-controller"})
		t.ok(err)
		t.want(len(sourced.Items) == 1 && sourced.Items[0].Name == "event-test", "%+v", sourced.Items)
		reported, err := api.List(t.ctx, metav1.ListOptions{FieldSelector: "reportingController=test-controller"})
		t.ok(err)
		t.want(len(reported.Items) == 1, "%+v", reported.Items)
		got, err := core.Get(t.ctx, "event-test", metav1.GetOptions{})
		t.ok(err)
		t.want(got.Message == "This is event-test" && got.ReportingController == "test-controller", "%+v", got)
		e, err := api.Patch(t.ctx, "event-test", types.MergePatchType, []byte(`{"series":{"count":2,"lastObservedTime":"2024-01-01T00:00:00.000000Z"}}`), metav1.PatchOptions{})
		t.ok(err)
		t.want(e.Series.Count == 2, "%+v", e)
		e = change(t, api, "event-test", func(e *eventsv1.Event) {
			e.Series = &eventsv1.EventSeries{Count: 100, LastObservedTime: metav1.NowMicro()}
		})
		t.want(e.Series.Count == 100, "%+v", e)
		t.ok(api.Delete(t.ctx, "event-test", metav1.DeleteOptions{}))
		_, err = core.Get(t.ctx, "event-test", metav1.GetOptions{})
		t.refused(err, apierrors.IsNotFound)
	})
	conform(t, "[sig-instrumentation] Events API should delete a collection of events", func(t *T) {
		api := t.c.EventsV1().Events(t.ns)
		for _, n := range []string{"test-event-1", "test-event-2", "test-event-3"} {
			_, err := api.Create(t.ctx, event(t, n), metav1.CreateOptions{})
			t.ok(err)
		}
		t.ok(api.DeleteCollection(t.ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "testevent=true"}))
		list, err := api.List(t.ctx, metav1.ListOptions{LabelSelector: "testevent=true"})
		t.ok(err)
		t.want(len(list.Items) == 0, "%d events", len(list.Items))
	})
	conform(t, "[sig-instrumentation] Events should manage the lifecycle of an event (of the core group)", func(t *T) {
		api := t.c.CoreV1().Events(t.ns)
		_, err := api.Create(t.ctx, &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "event-test", Labels: map[string]string{"testevent-constant": "true"}}, Message: "This is a test event", Reason: "Test", Type: "Normal", Count: 1, InvolvedObject: corev1.ObjectReference{Namespace: t.ns}}, metav1.CreateOptions{})
		t.ok(err)
		e, err := api.Patch(t.ctx, "event-test", types.StrategicMergePatchType, []byte(`{"message":"This is a test event - patched"}`), metav1.PatchOptions{})
		t.ok(err)
		t.want(e.Message == "This is a test event - patched", "%+v", e)
		e = change(t, api, "event-test", func(e *corev1.Event) {
			e.Series = &corev1.EventSeries{Count: 100, LastObservedTime: metav1.NowMicro()}
		})
		t.want(e.Series.Count == 100, "%+v", e)
		t.ok(api.Delete(t.ctx, "event-test", metav1.DeleteOptions{}))
	})
}
