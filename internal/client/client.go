// Package client is how every part of Skiff reaches the API: typed access that
// is the same in process (the API server's own implementation, which reads the
// shared objects and adds nothing) and over HTTP.
//
// The promise that both keep: a write is visible to its writer when the call
// returns, in Get, List, ByIndex and in the order of watches. So a reader needs no cache of
// its own, and no guesses about how stale it is.
//
// Objects that come out are shared and must not be changed: DeepCopy first.
// Objects that go in belong to the callee after the call.
//
// Errors are API statuses (k8s.io/apimachinery/pkg/api/errors tests them).
package client

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
)

// Reader reads the present state. In process each call costs a map look-up.
type Reader interface {
	// Get returns the object, or a NotFound status.
	Get(ctx context.Context, r *api.Resource, namespace, name string) (api.Object, error)
	// List returns the objects of a namespace (empty: all), by name, and the
	// revision that the list shows.
	List(ctx context.Context, r *api.Resource, namespace string, s Selector) ([]api.Object, int64, error)
	// ByIndex returns the objects that the named index holds under value, in no
	// order (api.IndexOwner: value is the UID of the controlling owner).
	ByIndex(ctx context.Context, r *api.Resource, index, value string) ([]api.Object, error)
}

// Client reads, writes and watches.
type Client interface {
	Reader
	// Watch delivers what happens after revision `after`; with -1 it first delivers every
	// object there is as Added (and then one Synced event), in one consistent state.
	Watch(ctx context.Context, r *api.Resource, namespace string, s Selector, after int64) (Watch, error)

	Create(ctx context.Context, r *api.Resource, o api.Object) (api.Object, error)
	// Update writes the object, or only a subresource ("status") of it. When the object has a
	// resourceVersion and it is not the current one, the error is a Conflict.
	Update(ctx context.Context, r *api.Resource, o api.Object, subresource string) (api.Object, error)
	Patch(ctx context.Context, r *api.Resource, namespace, name string, t types.PatchType, data []byte, subresource string) (api.Object, error)
	Delete(ctx context.Context, r *api.Resource, namespace, name string, o metav1.DeleteOptions) error
	// Bind sets the node of a pod (the binding subresource): Conflict when it has one.
	Bind(ctx context.Context, namespace, pod string, uid types.UID, node string) error
}

// Selector narrows a list or a watch; its zero value selects everything.
type Selector struct {
	Labels labels.Selector
	Fields fields.Selector
	// Tied selects what has owners or is being deleted, and of what has not the deletion: that of
	// an owner.
	Tied bool
}

// Tied tells whether an object is one that Selector.Tied selects.
func Tied(o metav1.Object) bool {
	return o.GetDeletionTimestamp() != nil || len(o.GetOwnerReferences()) > 0
}

// Event is a change of one object. Old is what was there before (for Modified
// and Deleted; nil when the watcher had not seen it). An object that stops matching
// the selector is Deleted with its last matching state, as in the API.
type Event struct {
	Type   watch.EventType // Added, Modified, Deleted; Bookmark for Synced
	Object api.Object
	Old    api.Object
	Rev    int64
}

// Synced tells the end of the initial objects of a watch that began with them.
func (e Event) Synced() bool { return e.Type == watch.Bookmark }

// Watch delivers events until its context ends, it is closed, or it fails; a
// failed watch is begun anew from a list (the error is an Expired status then).
type Watch interface {
	// Next blocks until there is at least one event and returns all that are ready. The slice is
	// valid until the next call.
	Next(ctx context.Context) ([]Event, error)
	Close()
}

// Get returns one object of a Go type: Get[*appsv1.Deployment](ctx, c, ns, name).
func Get[T api.Object](ctx context.Context, c Reader, namespace, name string) (T, error) {
	o, err := c.Get(ctx, all.For[T](), namespace, name)
	if err != nil {
		var none T
		return none, err
	}
	return o.(T), nil
}

// List returns the objects of a Go type that match the labels (nil: all).
func List[T api.Object](ctx context.Context, c Reader, namespace string, sel labels.Selector) ([]T, error) {
	os, _, err := c.List(ctx, all.For[T](), namespace, Selector{Labels: sel})
	return cast[T](os), err
}

// ByIndex returns the objects of a Go type that an index holds under value.
func ByIndex[T api.Object](ctx context.Context, c Reader, index, value string) ([]T, error) {
	os, err := c.ByIndex(ctx, all.For[T](), index, value)
	return cast[T](os), err
}

// OwnedBy returns the objects of a Go type whose controller is the owner.
func OwnedBy[T api.Object](ctx context.Context, c Reader, owner types.UID) ([]T, error) {
	return ByIndex[T](ctx, c, api.IndexOwner, string(owner))
}

// Create, Update, UpdateStatus and Delete find the row by the Go type.
func Create[T api.Object](ctx context.Context, c Client, o T) (T, error) {
	return result[T](c.Create(ctx, all.For[T](), o))
}

func Update[T api.Object](ctx context.Context, c Client, o T) (T, error) {
	return result[T](c.Update(ctx, all.For[T](), o, ""))
}

func UpdateStatus[T api.Object](ctx context.Context, c Client, o T) (T, error) {
	return result[T](c.Update(ctx, all.For[T](), o, "status"))
}

func Delete[T api.Object](ctx context.Context, c Client, namespace, name string, o metav1.DeleteOptions) error {
	return c.Delete(ctx, all.For[T](), namespace, name, o)
}

func result[T api.Object](o api.Object, err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return o.(T), nil
}

func cast[T api.Object](os []api.Object) []T {
	out := make([]T, len(os))
	for i, o := range os {
		out[i] = o.(T)
	}
	return out
}
