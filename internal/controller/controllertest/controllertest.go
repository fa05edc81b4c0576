// Package controllertest runs controllers on the API in memory: one step at a
// time for tables, or whole with a node that runs pods at once.
package controllertest

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// Start is the time that tables of steps begin at.
var Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Events keeps what was recorded, as "Reason message".
type Events struct {
	mu   sync.Mutex
	list []string
}

func (e *Events) Record(_ string, _ api.Object, _, reason, _, message string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, reason+" "+message)
}

func (e *Events) RecordFrom(component, _ string, about api.Object, _, typ, reason, message string) {
	e.Record(component, about, typ, reason, "", message)
}

// List returns the events so far and forgets them.
func (e *Events) List() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.list
	e.list = nil
	return l
}

// Step runs one step at a time and returns the writes, then the events.
func Step(t *testing.T, c *clienttest.Client, s controller.Spec, k controller.Key, now time.Time) ([]string, time.Duration, error) {
	t.Helper()
	c.Log()
	events := &Events{}
	e := &controller.Engine{Client: c, Events: events, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: func() time.Time { return now }}
	after, err := e.Step(t.Context(), s, k)
	return append(c.Log(), events.List()...), after, err
}

// Equal compares logs.
func Equal(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", lines(got), lines(want))
	}
}

func lines(s []string) (out string) {
	for _, l := range s {
		out += "\t" + l + "\n"
	}
	return out
}

// Run runs controllers until the test ends. In a synctest bubble, cancel ends them before it does.
func Run(t *testing.T, c *clienttest.Client, specs ...controller.Spec) (events *Events, cancel func()) {
	t.Helper()
	events = &Events{}
	e := &controller.Engine{Client: c, Events: events, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)), Now: time.Now}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, s := range specs {
		wg.Go(func() { e.Run(ctx, s) })
	}
	cancel = func() { stop(); wg.Wait() }
	t.Cleanup(cancel)
	return events, cancel
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(string(b))
	return len(b), nil
}

// Node runs every pod that there is at once, on a node of its own name: ready
// when `ready` says so (nil: always), and gone as soon as it is deleted.
func Node(ctx context.Context, c *clienttest.Client, ready func(*corev1.Pod) bool) error {
	w, err := c.Watch(ctx, all.For[*corev1.Pod](), "", client.Selector{}, -1)
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		events, err := w.Next(ctx)
		if err != nil {
			return err
		}
		for _, ev := range events {
			if ev.Synced() {
				continue
			}
			pod, err := client.Get[*corev1.Pod](ctx, c, ev.Object.GetNamespace(), ev.Object.GetName())
			if err != nil || pod.UID != ev.Object.GetUID() {
				continue
			}
			if err := tend(ctx, c, pod, ready == nil || ready(pod)); err != nil {
				return err
			}
		}
	}
}

func tend(ctx context.Context, c *clienttest.Client, pod *corev1.Pod, ready bool) error {
	switch {
	case pod.DeletionTimestamp != nil:
		now := int64(0)
		return client.Delete[*corev1.Pod](ctx, c, pod.Namespace, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	case pod.Spec.NodeName == "":
		return c.Bind(ctx, pod.Namespace, pod.Name, pod.UID, "node")
	case pod.Status.Phase == corev1.PodRunning && controller.PodReady(pod) == ready:
		return nil
	}
	_, err := client.UpdateStatus(ctx, c, Running(pod, ready, time.Now()))
	return err
}

// Running returns the pod as it is when it runs.
func Running(p *corev1.Pod, ready bool, since time.Time) *corev1.Pod {
	p = p.DeepCopy()
	p.ResourceVersion = ""
	p.Status.Phase = corev1.PodRunning
	s := corev1.ConditionFalse
	if ready {
		s = corev1.ConditionTrue
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: s, LastTransitionTime: metav1.NewTime(since).Rfc3339Copy()}}
	if p.Status.PodIP == "" {
		p.Status.PodIP = "10.0.0.1"
	}
	return p
}
