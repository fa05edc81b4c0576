package client

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The limits are those of client-go's correlator, so that what people see of
// noisy objects is what they know.
const (
	remembered   = 4096             // entries per table
	similarAfter = 10               // similar events within …
	similarSpan  = 10 * time.Minute // … before they are combined
	burst        = 25               // events about an object from one source before …
	refill       = 5 * time.Minute  // … one per this long
)

// correlator turns sightings into writes: it counts repeats, combines similar
// events and drops what floods. It is a pure state machine.
type correlator struct {
	buckets recent[bucketKey, *bucket]
	similar recent[similarKey, *similarity]
	last    recent[exactKey, *corev1.Event]
}

type bucketKey struct {
	source corev1.EventSource
	about  corev1.ObjectReference
}

type similarKey struct {
	bucketKey
	eventType, reason, action string
}

type exactKey struct {
	similarKey
	fieldPath, message string
}

type bucket struct {
	tokens float64
	at     time.Time
}

type similarity struct {
	messages map[string]bool
	at       time.Time
}

// written is a write: a new event, or new numbers for one there is.
type written struct {
	event  corev1.Event
	repeat bool
}

// keys leave out what changes between repeats: the object's revision, and for
// similar events the container and the message.
func (s sighting) keys() (bucketKey, similarKey, exactKey) {
	about := s.about
	about.ResourceVersion, about.FieldPath = "", ""
	object := bucketKey{s.source, about}
	similar := similarKey{object, s.eventType, s.reason, s.action}
	return object, similar, exactKey{similar, s.about.FieldPath, s.message}
}

// observe returns what to write, or nil when the sighting is one too many.
func (c *correlator) observe(s sighting) *written {
	bk, sk, ek := s.keys()
	if s.message, ek = c.combine(s, sk, ek); !c.take(bk, s.at) {
		return nil
	}
	at := metav1.NewTime(s.at).Rfc3339Copy()
	if e, ok := c.last.get(ek); ok {
		e.Count++
		e.LastTimestamp = at
		e.Message = s.message
		return &written{event: *e.DeepCopy(), repeat: true}
	}
	namespace := s.about.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: eventName(s)},
		InvolvedObject: s.about,
		Reason:         s.reason, Message: s.message, Type: s.eventType, Action: s.action,
		Source: s.source, FirstTimestamp: at, LastTimestamp: at, Count: 1,
		ReportingController: s.source.Component, ReportingInstance: s.source.Host,
	}
	c.last.put(ek, e)
	return &written{event: *e.DeepCopy()}
}

// combined stands for the message in the key of combined events.
const combined = "(combined from similar events): "

// combine gives events that differ only in their messages one key once there
// are too many different ones in a short time.
func (c *correlator) combine(s sighting, sk similarKey, ek exactKey) (string, exactKey) {
	sim, ok := c.similar.get(sk)
	if !ok || s.at.Sub(sim.at) > similarSpan {
		sim = &similarity{messages: map[string]bool{}}
		c.similar.put(sk, sim)
	}
	sim.at = s.at
	if len(sim.messages) < similarAfter {
		sim.messages[s.message] = true
	}
	if len(sim.messages) < similarAfter {
		return s.message, ek
	}
	return combined + s.message, exactKey{sk, "", combined}
}

// take takes a token; the bucket holds burst and gains one per refill.
func (c *correlator) take(k bucketKey, now time.Time) bool {
	b, ok := c.buckets.get(k)
	if !ok {
		b = &bucket{tokens: burst, at: now}
		c.buckets.put(k, b)
	}
	if gone := now.Sub(b.at); gone > 0 {
		b.tokens = min(burst, b.tokens+float64(gone)/float64(refill))
		b.at = now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// recent remembers what was used lately: two generations, of which the older is
// forgotten when the newer is full. That bounds it without a list of uses.
type recent[K comparable, V any] struct {
	young, old map[K]V
}

func (r *recent[K, V]) get(k K) (V, bool) {
	if v, ok := r.young[k]; ok {
		return v, true
	}
	v, ok := r.old[k]
	if ok {
		r.put(k, v)
	}
	return v, ok
}

func (r *recent[K, V]) put(k K, v V) {
	if r.young == nil || len(r.young) >= remembered/2 {
		r.old, r.young = r.young, map[K]V{}
	}
	r.young[k] = v
}
