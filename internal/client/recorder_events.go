package client

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
)

// queued is how many events may wait to be written; further ones are dropped.
const queued = 1000

// EventRecorder writes events through a client. One goroutine writes, in the
// order of recording; it starts with the first event and ends after a while
// without any, or with the context.
type EventRecorder struct {
	ctx  context.Context
	c    Client
	now  func() time.Time
	log  *slog.Logger
	work chan sighting

	mu      sync.Mutex
	running bool
	dropped int
	stamp   int64

	known correlator // used by the writing goroutine only
}

var _ Recorder = (*EventRecorder)(nil)

// NewRecorder makes a recorder that works until the context ends.
func NewRecorder(ctx context.Context, c Client, now func() time.Time, log *slog.Logger) *EventRecorder {
	return &EventRecorder{ctx: ctx, c: c, now: now, log: log, work: make(chan sighting, queued)}
}

// sighting is an event as it was recorded.
type sighting struct {
	source    corev1.EventSource
	about     corev1.ObjectReference
	eventType string
	reason    string
	action    string
	message   string
	at        time.Time
	stamp     int64 // what the name ends in: the time in nanoseconds, no two the same
}

func (r *EventRecorder) Record(component string, about api.Object, eventType, reason, action, message string) {
	r.add(sighting{source: corev1.EventSource{Component: component}, about: reference(about, ""),
		eventType: eventType, reason: reason, action: action, message: message})
}

func (r *EventRecorder) RecordFrom(component, host string, about api.Object, fieldPath, eventType, reason, message string) {
	r.add(sighting{source: corev1.EventSource{Component: component, Host: host}, about: reference(about, fieldPath),
		eventType: eventType, reason: reason, message: message})
}

// reference names the object that an event is about. The row knows its kind:
// objects in this process carry no apiVersion and kind of their own.
func reference(o api.Object, fieldPath string) corev1.ObjectReference {
	gvk := o.GetObjectKind().GroupVersionKind()
	if r := all.Of(o); r != nil {
		gvk = r.GVK
	}
	version, kind := gvk.ToAPIVersionAndKind()
	return corev1.ObjectReference{
		Kind: kind, APIVersion: version, Namespace: o.GetNamespace(), Name: o.GetName(),
		UID: o.GetUID(), ResourceVersion: o.GetResourceVersion(), FieldPath: fieldPath,
	}
}

func (r *EventRecorder) add(s sighting) {
	s.at = r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return
	}
	// The clock may be coarser than events are fast.
	r.stamp = max(r.stamp+1, s.at.UnixNano())
	s.stamp = r.stamp
	select {
	case r.work <- s:
	default:
		r.dropped++
		return
	}
	if !r.running {
		r.running = true
		go r.run()
	}
}

// run writes what is queued and ends when nothing more is.
func (r *EventRecorder) run() {
	for {
		select {
		case <-r.ctx.Done():
			r.mu.Lock()
			r.running = false
			r.mu.Unlock()
			return
		case s := <-r.work:
			r.write(s)
			continue
		default:
		}
		// add holds the lock while it queues, so what is queued from here on finds
		// running false and starts anew.
		r.mu.Lock()
		if len(r.work) == 0 {
			r.running = false
			if r.dropped > 0 {
				r.log.Warn("events dropped: too many at once", "count", r.dropped)
				r.dropped = 0
			}
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
	}
}

func (r *EventRecorder) write(s sighting) {
	e := r.known.observe(s)
	if e == nil {
		return
	}
	row := all.For[*corev1.Event]()
	if e.repeat {
		patch, err := json.Marshal(map[string]any{"count": e.event.Count, "lastTimestamp": e.event.LastTimestamp, "message": e.event.Message})
		if err != nil {
			r.log.Error("event not encoded", "err", err)
			return
		}
		_, err = r.c.Patch(r.ctx, row, e.event.Namespace, e.event.Name, types.MergePatchType, patch, "")
		if err == nil {
			return
		}
		if !apierrors.IsNotFound(err) {
			r.refused(&e.event, err)
			return
		}
		// The event has expired meanwhile: it is written anew, its count goes on.
	}
	if _, err := r.c.Create(r.ctx, row, &e.event); err != nil {
		r.refused(&e.event, err)
	}
}

func (r *EventRecorder) refused(e *corev1.Event, err error) {
	// Events about what lives in a namespace that is going are refused by design.
	if r.ctx.Err() != nil || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return
	}
	r.log.Warn("event not written", "namespace", e.Namespace, "name", e.Name, "reason", e.Reason, "message", e.Message, "err", err)
}

func eventName(s sighting) string {
	name := s.about.Name
	suffix := fmt.Sprintf(".%x", s.stamp)
	// A name that is valid for the object may be too long with the suffix.
	if max := 253 - len(suffix); len(name) > max {
		name = name[:max]
	}
	return name + suffix
}
