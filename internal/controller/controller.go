// Package controller runs the controllers. A controller is a Spec: which kind it
// looks after, what else wakes it, and a pure Step from what is (a Reader) and
// the time to a list of actions. The engine does the rest: watches, a queue of
// keys without duplicates, retries with back-off, carrying out the actions.
//
// Because a write is visible to its writer when the call returns, a Step never
// sees a state older than its own last writes: there are no expectations and no caches here.
//
// Read this file, then engine.go, owner.go, then replicaset/replicaset.go. The list of
// all controllers is in package controller/all.
package controller

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client"
)

// Key names an object of the kind that a controller looks after.
type Key struct{ Namespace, Name string }

// KeyOf is the key of an object.
func KeyOf(o metav1.Object) Key { return Key{o.GetNamespace(), o.GetName()} }

// Spec is a controller.
type Spec struct {
	Name string        // "replicaset-controller": the source of its events
	For  *api.Resource // each of these has a key; its changes wake it
	// Wakes tells which keys a change of another kind wakes.
	Wakes []Wake
	// Step decides what to do about the key. The object may be gone. It must not block, and must
	// not change what it reads. An error is logged and the key tried again with back-off.
	Step func(v View, k Key) (Plan, error)
	// Every wakes all keys at this interval; 0: never. Only for what no event tells.
	Every time.Duration
	// Workers is how many keys are worked on at the same time; 0 means 2.
	Workers int
}

// Wake maps a change of an object of kind On to keys. old is nil when the object is new,
// o is the last state when it was deleted.
type Wake struct {
	On *api.Resource
	// Where narrows the objects: changes of others cost nothing then.
	Where client.Selector
	Keys  func(v View, o, old api.Object) []Key
}

// View is what a Step may look at.
type View struct {
	client.Reader
	Context context.Context
	Now     time.Time
}

// Plan is what a Step wants done: the actions in order, and when to look again
// if nothing happens before (0: not).
type Plan struct {
	Do    []Action
	After time.Duration
}

// Action is one write. Exactly one of the fields that name an operation (up to
// Fail) is set.
type Action struct {
	Create       api.Object
	Update       api.Object
	UpdateStatus api.Object
	Delete       *Delete
	Event        *Event
	// SlowStart carries out independent actions: the first alone, then two at the
	// same time, then four, and so on. When some of a batch fail, the later batches
	// are not begun and the action fails with the first error: what is refused
	// once is not asked for a thousand times.
	SlowStart []Action
	// Fail fails the step with this error: the end of an Else that first tells about the error.
	Fail error

	// Subresource makes Update one of a subresource other than status.
	Subresource string
	// Resource is the row of the object when its Go type does not tell (custom resources).
	Resource *api.Resource
	// Then gives further actions once the write is done, from its result (nil after a delete or an event).
	Then func(result api.Object) []Action
	// Else gives the actions instead of failing the step. When it returns nil, the
	// rest of the plan goes on; the error counts as handled. A nil Else stops the plan, and the key is tried again.
	Else func(err error) []Action
}

// Delete removes an object; a NotFound counts as done.
type Delete struct {
	Object  api.Object
	Options metav1.DeleteOptions
}

// Event tells people what was done about an object.
type Event struct {
	About   api.Object
	Type    string // corev1.EventTypeNormal or EventTypeWarning
	Reason  string
	Message string
	// Action is the machine-readable verb of events.k8s.io; may be empty.
	Action string
}
